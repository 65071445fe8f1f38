"""Where a job installs ollama-policy from: a commit, a wheel or a folder of its user's choice, no name on an index."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Final, NamedTuple

from ollama_policy.errors import CannotLookError
from ollama_policy.text.named_files import read_named

DISTRIBUTION: Final = "ollama-iac"
# A name under .invalid can belong to nobody: a job that was not completed fails, and installs nothing.
PLACEHOLDER: Final = f"git+https://replace-me.invalid/{DISTRIBUTION}@{'0' * 40}"
FORMS: Final = (
    "git+https://SERVER/PROJECT@COMMIT with all 40 hex digits, https://SERVER/FILE.whl#sha256=HASH, or a wheel or a "
    "checkout in this folder"
)
_COMMIT: Final = re.compile(
    r"git\+(?P<repository>(?:https|ssh)://[^\s@#'\"$`\\]+(?:@[^\s@#'\"$`\\]+)?)@(?P<commit>[0-9a-f]{40})"
)
_WHEEL: Final = re.compile(r"https://[^\s#'\"$`\\]+\.whl#sha256=[0-9a-f]{64}")
_PATH: Final = re.compile(r"[\w./+ -]+")


class InstallSource(NamedTuple):
    """What pip installs, as it stands in a shell's double quotes. `repository` and `commit` are of a git source."""

    requirement: str
    repository: str = ""
    commit: str = ""

    @property
    def is_placeholder(self) -> bool:
        return self.requirement.endswith(PLACEHOLDER)


def read(text: str, folder: Path) -> InstallSource:
    """The source that a person names; paths are relative to `folder`. Raises CannotLookError."""
    if git := _COMMIT.fullmatch(text):
        return InstallSource(f"{DISTRIBUTION} @ {text}", git["repository"], git["commit"])
    if _WHEEL.fullmatch(text):
        return InstallSource(f"{DISTRIBUTION} @ {text}")
    path = Path(text)
    if "://" in text or path.is_absolute() or ".." in path.parts or not _PATH.fullmatch(text):
        raise CannotLookError(f"--source {text}: expected {FORMS}")
    if text.endswith(".whl") and (folder / path).is_file():
        return InstallSource(f"{DISTRIBUTION} @ file://$PWD/{path.as_posix()}#sha256={_sha256(folder / path)}")
    if _is_checkout(folder / path):
        return InstallSource(f"{DISTRIBUTION} @ file://$PWD/{path.as_posix()}")
    raise CannotLookError(f"--source {text}: it is neither a wheel nor a checkout in this folder; expected {FORMS}")


def own() -> str:
    """Where this one was installed from, as pip noted it (PEP 610), where that is a commit; else empty."""
    try:
        noted = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
        text = f"git+{noted['url']}@{noted['vcs_info']['commit_id']}"
    except (LookupError, ValueError, TypeError):
        return ""
    return text if _COMMIT.fullmatch(text) else ""


def placeholder() -> InstallSource:
    return read(PLACEHOLDER, Path())


def _sha256(path: Path) -> str:
    from hashlib import file_digest  # noqa: PLC0415

    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _is_checkout(path: Path) -> bool:
    try:
        return f'name = "{DISTRIBUTION}"' in read_named(str(path / "pyproject.toml")).decode()
    except (OSError, UnicodeDecodeError):
        return False
