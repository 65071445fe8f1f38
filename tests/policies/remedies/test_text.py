"""Remedies as people and programs read them."""

import json

from ollama_policy.commands.remedies.facts import Declarations
from ollama_policy.commands.remedies.matrix import matrix
from ollama_policy.commands.remedies.remedy import SERVER, Document, Gain, Kind, Remedy
from ollama_policy.commands.remedies.text import FORMATS
from ollama_provider.ollama.sizes import MIB
from tests.policies.remedies.examples import held, server

SERVER_SAID = server(held("chat", 3 * MIB))
REMEDIES = matrix(SERVER_SAID, Declarations())
HOSTILE = Remedy(
    Kind.RELOAD, "a|b\x1b[31m", SERVER, Gain(None, "not known"), Document.LESS, True, "<b>", "@all", "\n", ("`rm`",)
)


def test_text_names_the_documents_recommendations_and_the_bytes() -> None:
    text = FORMATS["text"](SERVER_SAID, REMEDIES, None)
    assert text.startswith("http://one:11434, Ollama 0.17.4: 1 model in memory, 3 MiB; 0 of ")
    assert text.count("the usual recommendation") == 1
    assert "0 bytes" not in text, "what gives nothing back is in the JSON alone"
    assert "possible: bound keep_alive to 5m, of chat:latest\n  gives back  3 MiB (by /api/ps" in text


def test_what_gives_nothing_back_yet_is_told_by_what_it_prevents() -> None:
    cap = HOSTILE._replace(gain=Gain(0, "measured: a", later="without it b"))
    assert not cap.edits, "no source says where the variable is set"
    assert "  gives back  nothing now; without it b\n" in FORMATS["text"](SERVER_SAID, [cap], None)
    [told] = json.loads(FORMATS["json"](SERVER_SAID, [cap], None))["remedies"]
    assert told["bytes_from"] == "measured: a; without it b"
    cap = cap._replace(gain=cap.gain._replace(bytes=MIB))
    assert "  gives back  1 MiB (measured: a; without it b)\n" in FORMATS["text"](SERVER_SAID, [cap], None)


def test_json_has_every_remedy_in_the_same_order() -> None:
    report = json.loads(FORMATS["json"](SERVER_SAID, REMEDIES, "a diff"))
    assert [one["id"] for one in report["remedies"]] == [one.id for one in REMEDIES]
    assert (report["held_bytes"], report["diff"]) == (3 * MIB, "a diff")


def test_markdown_has_one_row_each_and_no_diff_ends_its_fence() -> None:
    text = FORMATS["markdown"](SERVER_SAID, REMEDIES, " ```\n ````\n")
    assert (
        sum(line.startswith("| ") for line in text.splitlines())
        == sum(bool(one.gain.bytes != 0 or one.gain.later or one.edits) for one in REMEDIES) + 1
    )
    assert text.endswith("`````diff\n ```\n ````\n`````\n")


def test_names_are_data() -> None:
    text = FORMATS["text"](SERVER_SAID, [HOSTILE], None)
    assert "\x1b" not in text
    assert "\\x1b[31m" in text
    row = FORMATS["markdown"](SERVER_SAID, [HOSTILE], None).splitlines()[-1]
    assert "a\\|b" in row
    assert "&lt;b&gt;" in row
    assert "\\@all" in row
