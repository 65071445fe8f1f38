"""What `ollama-policy init` writes for a project that begins with it. Nothing that is there is touched."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

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

# [per-path-ignores]
# "examples/" = ["OLL3"]
"""

_PRE_COMMIT = """\
repos:
  - repo: local
    hooks:
      - id: ollama-policy
        name: ollama-policy
        entry: ollama-policy check
        language: python
        additional_dependencies: ["ollama-iac=={version}"]
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
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install --quiet ollama-iac=={version}
      - run: ollama-policy check --format github
"""

_GITLAB = """\
ollama-policy:
  image: python:3.12-slim
  script:
    - pip install --quiet ollama-iac=={version}
    - code=0
    - ollama-policy check || code=$?
    - ollama-policy check --format gitlab --output gl-code-quality-report.json || true
    - exit $code
  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json
"""

FILES = {
    "ollama-policy.toml": _CONFIGURATION,
    ".pre-commit-config.yaml": _PRE_COMMIT,
    ".github/workflows/ollama-policy.yml": _GITHUB,
    ".gitlab-ci.yml": _GITLAB,
}


def write_starter(folder: Path = Path()) -> Iterator[str]:
    """Writes the files that are not there, and says of each what was done, with what to add where it is there."""
    for name, template in FILES.items():
        path, text = folder / name, template.format(version=version("ollama-iac"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as stream:
                stream.write(text)
            yield f"wrote {name}"
        except FileExistsError:
            yield f"{name} is there, and is left as it is" + ("" if template is _CONFIGURATION else f"; add:\n{text}")
