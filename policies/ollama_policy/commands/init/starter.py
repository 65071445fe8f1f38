"""What `ollama-policy init` writes for a project. Of what is there, it replaces its own placeholder alone."""

from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from ollama_policy.commands.init.install_source import DISTRIBUTION, FORMS, PLACEHOLDER, InstallSource, placeholder
from ollama_policy.pipeline.regular_files import read_regular
from ollama_provider.files.atomic import write_whole

_CONFIGURATION = """\
# What `ollama-policy check` does here, with ollama-iac {version}.
# select = ["OLL"]
# ignore = ["OLL302"]
# target-version = "0.34.3"
# target-memory = "64GiB"
# target-gpu-memory = "24GiB"
# exclude = ["vendor/"]
# baseline = "ollama-policy-baseline.json"

# [severity]
# OLL005 = "info"

# [fix]
# OLL001 = "keep-alive"

# [per-path-ignores]
# "examples/" = ["OLL3"]
"""

_PRE_COMMIT_OF_COMMIT = """\
repos:
  - repo: {repository}
    rev: {commit}
    hooks:
      - id: ollama-policy
"""

_PRE_COMMIT = """\
# Install ollama-policy where pre-commit runs, from this folder:
{install}
repos:
  - repo: local
    hooks:
      - id: ollama-policy
        name: ollama-policy
        entry: ollama-policy check
        language: system
        pass_filenames: false
"""

_GITHUB = """\
name: ollama-policy
on: [push, pull_request]
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683  # v4.2.2
      - uses: actions/setup-python@0b93645e9fea7318ecaed2b359559ac225c90a2b  # v5.3.0
        with:
          python-version: "3.12"
      - run: |
{install}
      - run: ollama-policy check --format github
"""

_GITLAB = """\
ollama-policy:
  image: python:3.12
  script:
    - |
{install}
    - code=0
    - ollama-policy check || code=$?
    - ollama-policy check --format gitlab --output gl-code-quality-report.json || true
    - exit $code
  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json
"""

_LOCKED = "locked_requirements.txt"  # of this package
REQUIREMENTS = "ollama-policy-requirements.txt"
_INSTALL = (
    f"python -m pip install --quiet --require-hashes --requirement {REQUIREMENTS}",
    'python -m pip install --quiet --no-deps --no-build-isolation "{requirement}"',
)
_INDENTS = {".github/workflows/ollama-policy.yml": " " * 10, ".gitlab-ci.yml": " " * 6}

FILES = {
    "ollama-policy.toml": _CONFIGURATION,
    REQUIREMENTS: "",
    ".pre-commit-config.yaml": _PRE_COMMIT,
    ".github/workflows/ollama-policy.yml": _GITHUB,
    ".gitlab-ci.yml": _GITLAB,
}
_NOT_TO_ADD = ("ollama-policy.toml", REQUIREMENTS)


def write_starter(source: InstallSource, folder: Path = Path()) -> Iterator[str]:
    """Writes the files that are not there, and says of each what was done, with what to add where it is there."""
    for name in FILES:
        path, text = folder / name, _text(name, source)
        try:
            write_whole(str(path), text.encode(), is_new=True)
            yield f"wrote {name}"
        except FileExistsError:
            if not source.is_placeholder and _completed(path, source):
                yield f"replaced {PLACEHOLDER} in {name}"
            else:
                yield f"{name} is there, and is left as it is" + ("" if name in _NOT_TO_ADD else f"; add:\n{text}")
    if source.is_placeholder:
        yield (
            f"replace {PLACEHOLDER} in these files by where your jobs install ollama-policy from: {FORMS}; "
            "`ollama-policy init --source SOURCE` writes it"
        )


def _completed(path: Path, source: InstallSource) -> bool:
    """Puts a source in the place of the placeholder in a file that is there; whether the file has one."""
    try:
        before = None if path.is_symlink() else read_regular(str(path))
    except (OSError, ValueError):
        before = None
    after = before and before.replace(placeholder().requirement.encode(), source.requirement.encode())
    if not after or after == before:
        return False
    write_whole(str(path), after)
    return True


def _text(name: str, source: InstallSource) -> str:
    if name == REQUIREMENTS:
        return files("ollama_policy").joinpath(_LOCKED).read_text(encoding="utf-8")
    template = _PRE_COMMIT_OF_COMMIT if FILES[name] is _PRE_COMMIT and source.commit else FILES[name]
    indent = _INDENTS.get(name, "#   ")
    install = "\n".join(indent + line.format(requirement=source.requirement) for line in _INSTALL)
    return template.format(
        version=version(DISTRIBUTION), install=install, repository=source.repository, commit=source.commit
    )
