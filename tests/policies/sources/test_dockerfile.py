import pytest

from ollama_policy.model.settings import IMAGE
from ollama_policy.sources.dockerfile import Dockerfile
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read, refused_at

_OURS = "FROM ollama/ollama\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("ENV A=1 B=\"x y\" C='z'", {"A": ("1", "1"), "B": ("x y", '"x y"'), "C": ("z", "'z'")}),
        ("ENV A some more # text", {"A": ("some more # text", "some more # text")}),
        ('env A "x y"', {"A": ("x y", '"x y"')}),
        ("ENV A=x\\ y", {"A": ("x y", "x\\ y")}),
        ("ENV A=1 \\\n  # note\n\n  B=2", {"A": ("1", "1"), "B": ("2", "2")}),
        ("ENV A=1\nENV A=2", {"A": ("2", "2")}),
        ("ARG X=5m\nENV A=$X B=${X}s", {"A": ("5m", "5m"), "B": ("5ms", "${X}s")}),
        ("ARG X\nENV A=$X", {"A": (UNKNOWN, "X")}),
        ("ENV A=${X:-5m} B=$Y", {"A": ("5m", "5m"), "B": (UNKNOWN, "$Y")}),
        ("ENV A=1\nARG A=2\nENV B=$A", {"A": ("1", "1"), "B": ("1", "1")}),
        ("ENV A='$X'", {"A": ("$X", "'$X'")}),
        ("RUN <<EOF\nENV A=1\nFROM x\nEOF\nENV B=2", {"B": ("2", "2")}),
        ("RUN <<-'A' cat <<B\nENV A=1\n\tA\nENV A=2\nB\nENV B=2", {"B": ("2", "2")}),
        ("# ENV A=1", {}),
    ],
)
def test_reads_as_buildkit_does(lines: str, expected: Facts) -> None:
    for text in (_OURS + lines, (_OURS + lines).replace("\n", "\r\n")):
        found = facts(only(read(Dockerfile(), "Dockerfile", text)))
        assert found.pop(IMAGE) == ("ollama/ollama", "ollama/ollama")
        assert found == expected


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("ARG V=0.5\nFROM --platform=linux/amd64 ollama/ollama:${V} AS x", ("ollama/ollama:0.5", "ollama/ollama:${V}")),
        ("ARG V\nFROM ollama/ollama:$V", (UNKNOWN, "ollama/ollama:$V")),
        ("ARG I=ollama/ollama\nFROM $I", ("ollama/ollama", "ollama/ollama")),
        ("FROM ollama/ollama:1 AS a\nFROM b AS c\nFROM A\n", ("ollama/ollama:1", "ollama/ollama:1")),
        ("FROM ollama/ollama:1\nFROM 0", ("ollama/ollama:1", "ollama/ollama:1")),
        ('FROM alpine\nCMD ["/bin/ollama", "serve"]', None),
        ('FROM alpine\nENTRYPOINT ["/bin/ollama"]\nCMD ["serve"]', None),
        ("FROM alpine\nRUN <<E\nnohup ollama serve &\nE\n", None),
        # The last stage counts, and what it is from.
        ("FROM ollama/ollama AS o\nFROM python\nCOPY --from=o /bin/ollama /bin/", ()),
        ("FROM ghcr.io/open-webui/open-webui:ollama\nENV OLLAMA_BASE_URL=x", ()),
        ("# ollama", ()),
    ],
)
def test_only_what_runs_ollama_is_a_server(text: str, image: tuple[str, str] | tuple[()] | None) -> None:
    subjects = read(Dockerfile(), "x.Dockerfile", text)
    assert [facts(subject).get(IMAGE) for subject in subjects] == ([] if image == () else [image])


def test_stages_hand_on_their_variables() -> None:
    text = "FROM ollama/ollama AS a\nENV A=1 B=1\nFROM x\nENV A=9\nFROM a\nENV B=$A\n"
    subject = only(read(Dockerfile(), "Containerfile", text))
    assert facts(subject) == {IMAGE: ("ollama/ollama", "ollama/ollama"), "A": ("1", "1"), "B": ("1", "1")}
    assert (at(subject), subject.span.start) == ("FROM", text.rindex("FROM"))
    assert subject.is_open
    assert inserted(subject) == text.replace("B=$A\n", "B=$A\nENV OLLAMA_NEW=1\n")


def test_the_escape_may_be_a_backtick() -> None:
    text = "# syntax=x\n# escape=`\nFROM ollama/ollama\nENV A=1 `\n B=c:\\d\n"
    found = facts(only(read(Dockerfile(), "Dockerfile.windows", text)))
    assert found["A"] == ("1", "1")
    assert inserted(only(read(Dockerfile(), "Dockerfile", _OURS))) == _OURS + "ENV OLLAMA_NEW=1\n"


def test_pages_about_dockerfiles_are_none() -> None:
    assert read(Dockerfile(), "Dockerfile.md", _OURS) == []


def test_says_where_it_is_not_utf_8() -> None:
    assert refused_at(Dockerfile(), "Dockerfile", _OURS.encode() + b"\xff") == len(_OURS)
