import pytest

from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.common.env_files import Dialect, EnvFiles, read_assignments
from tests.policies.sources.reading import UNKNOWN, Facts, at, facts, inserted, only, read, refused_at


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        ("dotenv", "A=5m # note", ("5m", "5m")),
        ("dotenv", "A=5m#note", ("5m#note", "5m#note")),
        ("dotenv", "A= # note", ("", "")),
        ("dotenv", 'export A = "5m" # note', ("5m", '"5m"')),
        ("dotenv", "A='$B # x'", ("$B # x", "'$B # x'")),
        ("dotenv", 'A="a\\"b\\n"', ('a"b\n', '"a\\"b\\n"')),
        ("dotenv", 'A="two\nlines"', ("two\nlines", '"two\nlines"')),
        ("dotenv", "A=${B:-5m}", ("5m", "5m")),
        ("dotenv", "A=${B-5m}h", ("5mh", "${B-5m}h")),
        ("dotenv", "A=$B", (UNKNOWN, "$B")),
        ("dotenv", "B=1d\nA=$B", ("1d", "1d")),
        ("dotenv", "A=1\nA=2\r\n", ("2", "2")),
        ("dotenv", "A={{ keep_alive }}", (UNKNOWN, "{{ keep_alive }}")),
        ("systemd", "A=5m # note", ("5m # note", "5m # note")),
        ("systemd", "A= 5m \t\r\n", ("5m", "5m")),
        ("systemd", 'A="x" "y" z', ("xyz", '"x" "y" z')),
        ("systemd", "A=\"a\\\"b\\n\"", ('a"b\\n', '"a\\"b\\n"')),
        ("systemd", "A=a\\ b\\\n c", ("a b c", "a\\ b\\\n c")),
        ("systemd", "A=$B", ("$B", "$B")),
        ("systemd", "export A=1\n;A=2\n#A=3\nA=4", ("4", "4")),
        ("systemd", "A='x", ("'x", "'x")),
        ("docker", "A='5m' # note", ("'5m' # note", "'5m' # note")),
        ("docker", "A= 5m\r\n", (" 5m", " 5m")),
    ],
)  # fmt: skip
def test_each_reader_has_its_own_quotes_and_comments(dialect: str, text: str, expected: tuple[str, str]) -> None:
    file = SourceFile("x", b"// " + text.encode())
    last = [one for one in read_assignments(text.encode(), file, 3, dialect) if one.key == "A"][-1]
    assert (last.value if last.is_known else UNKNOWN, last.written) == expected


def test_a_default_may_be_rewritten_and_a_reference_may_not() -> None:
    data = b"A=1\nB=${X:-2}\nC=$A\nD=3$A"
    settings = list(read_assignments(data, SourceFile("x", data), 0, Dialect.DOTENV))
    assert [(one.value, one.is_literal, one.origin) for one in settings] == [
        ("1", True, ""),
        ("2", True, "the default of $X"),
        ("1", False, "$A"),
        ("31", False, ""),
    ]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("ollama.env", "# x\nOLLAMA_HOST=0.0.0.0\n", {"OLLAMA_HOST": ("0.0.0.0", "0.0.0.0")}),
        (".env.ollama", "OLLAMA_KEEPALIVE=5m", {"OLLAMA_KEEPALIVE": ("5m", "5m")}),
        ("etc/default/ollama", "OLLAMA_KEEP_ALIVE=5m # x", {"OLLAMA_KEEP_ALIVE": ("5m # x", "5m # x")}),
        ("etc/sysconfig/ollama.j2", "OLLAMA_KEEP_ALIVE={{ x }}", {"OLLAMA_KEEP_ALIVE": (UNKNOWN, "{{ x }}")}),
        ("gpu-ollama.env.example", "OLLAMA_NUM_PARALLEL=2", {"OLLAMA_NUM_PARALLEL": ("2", "2")}),
        # Applications have such names of their own.
        (".env", "OLLAMA_KEEP_ALIVE=5m", None),
        ("ollama.env", "OLLAMA_HOST=x\nOLLAMA_BASE_URL=x", None),
        ("ollama.env", "OLLAMA_MODEL=llama3", None),
        ("ollama-webui.env", "OLLAMA_HOST=x", None),
        ("ollama.env", "# OLLAMA_ nothing", None),
    ],
)
def test_a_file_is_a_servers_by_its_name_and_its_names(path: str, text: str, expected: Facts | None) -> None:
    subjects = read(EnvFiles(), path, text)
    assert [facts(subject) for subject in subjects] == ([] if expected is None else [expected])


def test_a_setting_is_added_behind_the_last() -> None:
    subject = only(read(EnvFiles(), "ollama.env", "OLLAMA_KEEP_ALIVE='5m' # x\r\n\r\n"))
    assert inserted(subject) == "OLLAMA_KEEP_ALIVE='5m' # x\r\nOLLAMA_NEW=1\r\n\r\n"
    assert at(subject) == "OLLAMA_KEEP_ALIVE="
    assert subject.is_open


def test_says_where_it_is_not_utf_8() -> None:
    assert refused_at(EnvFiles(), "ollama.env", b"OLLAMA_HOST=\xff") == 12


@pytest.mark.parametrize("path", ["ollama.env", "default/ollama", "sysconfig/ollama"])
def test_what_only_reaches_llama_server_is_a_server_s(path: str) -> None:
    (subject,) = read(EnvFiles(), path, "LLAMA_ARG_CTX_SIZE=8192\n")
    assert [*subject.settings] == ["LLAMA_ARG_CTX_SIZE"]


@pytest.mark.parametrize("path", [".env", "prod.env"])
def test_a_file_that_is_named_is_read(path: str) -> None:
    file = SourceFile(path, b"OLLAMA_KEEP_ALIVE=30\n")
    assert not EnvFiles().accepts(file)
    file.is_given = True
    assert EnvFiles().accepts(file)
