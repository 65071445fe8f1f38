"""Text sources survive anything: no other error than UnreadableError leaves them, and every place is in its file."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.common.env_files import EnvFiles
from ollama_policy.sources.common.source import Source
from ollama_policy.sources.dockerfile import Dockerfile
from ollama_policy.sources.modelfile import Modelfile
from ollama_policy.sources.nix import Nix
from ollama_policy.sources.shell.scripts import Shell
from ollama_policy.sources.systemd import Systemd
from tests.policies.sources.trees import Files

_SEEDS: tuple[tuple[Source, str, str], ...] = (
    (Systemd(), "ollama.service", '[Service]\nExecStart=ollama serve\nEnvironment="A=1" B={{ c }} \\\n C=%h'),
    (Dockerfile(), "Dockerfile", "ARG V=1\nFROM ollama/ollama:$V AS a\nENV A=1 B='2' \\\n C=$V\nRUN <<E\nx\nE\nFROM a"),
    (EnvFiles(), "ollama.env", "export OLLAMA_KEEP_ALIVE='5m' # x\nA=${OLLAMA_X:-1}\nB=\"c\\n\"\n"),
    (Modelfile(), "Modelfile", 'FROM x\nPARAMETER num_ctx 1\nSYSTEM """\nx\n"""\nPARAMETER stop "x"\n'),
    (Shell(), "x.sh", "export A=\"${X:-1}\"\nif x; then B=1 ollama serve; fi\ncat > ollama.env <<E\nOLLAMA_A=$A\nE\n"),
    (Shell(), "y.sh", "docker run -e A=1 --memory=8g ollama/ollama\ncurl h:11434/api/chat -d '{\"model\": \"'$M'\"}'"),
    (Nix(), "x.nix", "{ services.ollama.environmentVariables = { A = \"1${x}\"; B = ''2''; } // c; }"),
)  # fmt: skip
_PIECES = [*re.findall(r"\S{1,6}|\s", "".join(text for _, _, text in _SEEDS)), "\x00", "\r", "\\", "é", "\ud800"]


def _read(source: Source, path: str, data: bytes) -> None:
    file = SourceFile(path, data)
    if not source.accepts(file):
        return
    try:
        subjects = list(source.read(file, Files(file)))
    except UnreadableError as error:
        assert 0 <= error.offset <= len(data)
        return
    for subject in subjects:
        places = [subject.span, *(setting.span for setting in (*subject.settings.values(), *subject.repeated))]
        assert all(0 <= place.start <= place.end <= len(data) for place in places)
        assert subject.insertion is None or 0 <= subject.insertion.at <= len(data)


@pytest.mark.slow
@pytest.mark.parametrize(("source", "path", "text"), _SEEDS, ids=[path for _, path, _ in _SEEDS])
@given(edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 9), st.sampled_from(_PIECES)), max_size=8))
def test_mutated(source: Source, path: str, text: str, edits: list[tuple[int, int, str]]) -> None:
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    _read(source, path, text.encode("utf-8", "surrogatepass"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ['"', "'", "\\", "\\\n", "${", "{{", "`", "(", "[", "''", "a = ", "$(", "FROM a\n", "<<E\n"]
)
@pytest.mark.parametrize(("source", "path", "text"), _SEEDS, ids=[path for _, path, _ in _SEEDS])
def test_repeated(source: Source, path: str, text: str, piece: str) -> None:
    _read(source, path, (text + piece * 5_000).encode())
