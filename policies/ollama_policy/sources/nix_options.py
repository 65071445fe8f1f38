"""Where NixOS, Home Manager and nix-darwin have Ollama's settings."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    pass

Path = tuple[str, ...]
VARIABLES: Final = (
    ("services", "ollama", "environmentVariables"),
    ("systemd", "services", "ollama", "environment"),
    ("systemd", "user", "services", "ollama", "environment"),
    ("launchd", "user", "agents", "ollama", "serviceConfig", "EnvironmentVariables"),
    ("launchd", "daemons", "ollama", "serviceConfig", "EnvironmentVariables"),
    ("launchd", "agents", "ollama", "config", "EnvironmentVariables"),
)
LISTS: Final = (
    ("systemd", "services", "ollama", "serviceConfig", "Environment"),
    ("systemd", "user", "services", "ollama", "Service", "Environment"),
)
FILES: Final = (("systemd", "services", "ollama", "serviceConfig", "EnvironmentFile"),)
LIMITS: Final = tuple(
    ("systemd", "services", "ollama", "serviceConfig", key) for key in ("MemoryMax", "MemoryLimit", "MemoryHigh")
)
ENABLE: Final = ("services", "ollama", "enable")
HEADERS: Final = (("services", "ollama"), ENABLE)
CONTAINERS: Final = ("oci-containers", "containers")
# What a binding is to one of these options.
WHOLE_SET: Final = " set"
LIST: Final = " list"
FILE: Final = " file"
HEADER: Final = ""


def ends(path: Path, option: Path) -> int | None:
    """How many names a path has behind an option that it holds at its end: 0 or 1, else None."""
    if path[-len(option) :] == option:
        return 0
    return 1 if path[-len(option) - 1 : -1] == option else None
