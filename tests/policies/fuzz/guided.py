"""`python -m tests.policies.fuzz.guided SOURCE [-max_total_time=60 ...]`: guided by coverage of the code, by atheris.

The invariants and seeds are the fuzzer's. What follows the source's name goes to libFuzzer; so does the exit status.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from random import Random

import atheris


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with atheris.instrument_imports(include=["ollama_policy"], enable_loader_override=False):
        from tests.policies.fuzz.invariants import check_pipeline, read
        from tests.policies.fuzz.seeds import name_of, seeds_of, sources

        chosen = sources(sys.argv[1])
        if len(chosen) != 1:
            sys.exit(f"there is no source {sys.argv[1]}; there are {', '.join(map(name_of, sources()))}")
        [source] = chosen
        source.source  # noqa: B018 - imported here, so that it is guided too
    seeds = seeds_of(source, Random(0))
    path = next(iter(seeds[0]))

    def one(data: bytes) -> None:
        tree = {path: data}
        found = read(source, tree)
        if found and found[0] and len(data) % 16 == 0:
            check_pipeline(tree, with_unsafe=True)

    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # nothing of this repository is a neighbour
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, tree in enumerate(seeds):
            (corpus / str(number)).write_bytes(tree.get(path, next(iter(tree.values()))))
        (Path(folder) / "tree").mkdir()
        with chdir(Path(folder) / "tree"):
            atheris.Setup([sys.argv[0], str(corpus), *sys.argv[2:]], one)
            atheris.Fuzz()


if __name__ == "__main__":
    main()
