"""Which remedies one server and its declarations call for, and what each is said to give back."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ollama_policy.commands.remedies.facts import Declarations, Settings
from ollama_policy.commands.remedies.matrix import matrix
from ollama_policy.commands.remedies.remedy import Document
from ollama_policy.commands.remedies.sources import read
from ollama_policy.live.options import Request, options_of
from ollama_policy.live.runners.growth import Grown
from ollama_provider.ollama.memory import estimate
from ollama_provider.ollama.sizes import MIB
from tests.policies.fit.test_sums import of_architecture
from tests.policies.remedies.examples import LLAMA, OLD, URL, by_id, held, server


def declared(**files: str) -> Declarations:
    """What files of the working folder say; `__` in a name is a dot."""
    for name, text in files.items():
        Path(name.replace("__", ".")).write_text(text)
    return read(["."], options_of(Request(["."]), {}), URL).declared


def model(name: str, more: str = "") -> str:
    return f'resource "ollama_model" "{name}" {{\n  name = "{name}"\n{more}\n}}\n'


MANUAL = '  memory_management = "manual"'
AUTOMATIC = '  memory_management = "automatic"'
COMPOSE = "services:\n  ollama:\n    image: ollama/ollama:{}\n    environment:\n{}"


def test_what_nobody_declared_is_unloaded_and_what_is_resident_is_not(tree: Path) -> None:
    found = matrix(server(held("wanted"), held("stray", 7 * MIB)), declared(m__tf=model("wanted", MANUAL)))
    [stray] = by_id(found, "undeclared")
    assert (stray.target, stray.gain.bytes, stray.is_recommended) == ("stray:latest", 7 * MIB, True)
    assert stray.commands == (f"OLLAMA_HOST={URL} ollama stop stray:latest",)
    assert not any(one.target == "wanted:latest" for one in found)


def test_what_goes_by_itself_is_no_recommendation(tree: Path) -> None:
    found = matrix(server(held("stray", left=timedelta(minutes=5))), declared(m__tf=model("wanted", MANUAL)))
    assert [one.is_recommended for one in by_id(found, "undeclared")] == [False]


def test_without_all_declarations_nothing_is_called_undeclared(tree: Path) -> None:
    files = declared(m__tf=f'variable "n" {{}}\nresource "ollama_model" "x" {{\n  name = var.n\n{MANUAL}\n}}\n')
    assert not files.is_complete
    assert not by_id(matrix(server(held("stray")), files), "undeclared")


def test_without_files_a_pin_may_be_meant() -> None:
    [pin] = by_id(matrix(server(held("stray", 5)), Declarations()), "keep-alive")
    assert (pin.gain.bytes, pin.is_recommended) == (5, False)
    assert pin.commands == (f"OLLAMA_HOST={URL} ollama run --keepalive 5m stray:latest ''",)


def test_the_timer_of_one_that_only_embeds_is_armed_by_a_call_that_ollama_takes() -> None:
    looked = server(held("embed", 5))
    details = {name: replace(one, capabilities=("embedding",)) for name, one in looked.details.items()}
    [pin] = by_id(matrix(looked._replace(details=details), Declarations()), "keep-alive")
    body = '{"model": "embed:latest", "input": "", "keep_alive": "5m"}'
    assert pin.commands == (f"curl -fsS {URL}/api/embed -d '{body}'",)


def test_a_pin_of_a_client_on_an_automatic_model_is_taken_away_and_the_declaration_bound(tree: Path) -> None:
    files = declared(m__tf=model("bound", f'{AUTOMATIC}\n  keep_alive = "2m"') + model("loose", AUTOMATIC))
    found = by_id(matrix(server(held("bound", 3), held("loose", 4)), files), "keep-alive")
    assert [(one.target, one.gain.bytes, one.is_recommended) for one in found] == [
        ("loose:latest", 4, True),
        ("bound:latest", 3, True),
    ]
    [edit] = found[0].edits
    assert (edit.rule, edit.title[:17], edit.is_safe) == ("OLL001", 'keep_alive = "5m"', False)
    assert "2m" in found[1].title
    assert found[1].commands == ("terraform apply -target=ollama_model.bound",)


def test_what_is_declared_absent_is_unloaded_by_its_engine(tree: Path) -> None:
    files = declared(m__tf=model("off", MANUAL + "\n  resident = false"))
    [found] = by_id(matrix(server(held("off", left=timedelta(minutes=1))), files), "absent")
    assert found.is_recommended
    assert found.row is Document.MANUAL
    assert found.commands == ("terraform apply -target=ollama_model.off",)


def test_orphans_are_reclaimed() -> None:
    found = matrix(server(held("gone", 9, digest=OLD), on_disk=["other"]), Declarations())
    [orphan] = by_id(found, "orphan")
    assert (orphan.gain.bytes, orphan.is_recommended) == (9, True)
    assert orphan.commands == (f"ollama-policy reclaim --host {URL}",)
    assert found[0] is orphan


def test_the_documents_own_are_named_and_told_honestly(tree: Path) -> None:
    found = matrix(server(held("chat", 8), held("stray", 9)), declared(m__tf=model("chat", AUTOMATIC)))
    assert {one.id for one in found if one.is_of_the_document} == {"manual", "version"}
    [manual], [version] = by_id(found, "manual"), by_id(found, "version")
    assert (manual.gain.bytes, manual.gain.is_at_most, manual.is_recommended) == (8, True, True)
    assert [edit.is_safe for edit in manual.edits] == [True]
    assert "pins, and gives nothing back" in manual.gain.how
    assert (version.gain.bytes, version.is_recommended) == (0, False)
    assert "16 GiB" in version.risk


def test_only_a_version_whose_leak_a_release_is_known_to_fix_is_to_be_updated() -> None:
    [found] = by_id(matrix(server(version="0.6.5"), Declarations()), "version")
    assert (found.is_recommended, found.gain.bytes, "0.7.1" in found.title) == (True, None, True)
    for version in ("0.30.9", "0.32.15", "0.34.3"):
        [found] = by_id(matrix(server(version=version), Declarations()), "version")
        assert (found.is_recommended, found.gain.bytes, found.commands) == (False, 0, ())


@pytest.mark.parametrize(
    ("version", "cache", "gain"),
    [
        ("0.17.4", None, None),
        ("0.34.3", None, 2 * 7680),
        ("0.34.3", 1024, 2 * 512),
        ("0.34.3", 512, None),
        ("0.34.3", 0, None),
        ("0.34.3", -1, 2 * (4096 - 512)),  # the context's tokens, at 128 KiB each
    ],
)
def test_the_prompt_cache_counts_from_0_30_on(version: str, cache: int | None, gain: int | None) -> None:
    settings = Declarations(settings=Settings(cache_mib=cache))
    in_memory = held("a", context=32768), held("b", context=32768)
    found = by_id(matrix(server(*in_memory, version=version), settings), "prompt-cache")
    assert [one.gain[::2] for one in found] == ([] if gain is None else [(gain * MIB, True)])


def test_what_a_runner_has_grown_by_is_told_and_what_it_keeps_after_a_cap() -> None:
    one = server(held("a", 100 * MIB), held("b", 100 * MIB), version="0.34.3")
    a, b = one.installed
    one = one._replace(grown={a: Grown(7, 800 * MIB, 700 * MIB, 8192), b: Grown(8, 110 * MIB, 9 * MIB, 8192)})
    found = matrix(one, Declarations())
    [reload] = by_id(found, "reload")
    assert (reload.target, reload.gain.bytes, reload.is_recommended) == ("a:latest", 700 * MIB, True)
    assert reload.commands == (f"ollama-policy reclaim --host {URL} --reload a:latest",)
    assert "process 7" in reload.why
    [cap] = by_id(found, "prompt-cache")
    assert (cap.gain.bytes, cap.gain.is_at_most) == (188 * MIB, False)
    assert cap.gain.later == "without it the runners may come to hold 15 GiB more"
    [smaller] = by_id(matrix(one, Declarations(), 32), "prompt-cache")
    assert (smaller.gain.bytes, "32 MiB a runner" in smaller.title) == (668 * MIB, True)
    capped = one._replace(grown={name: grown._replace(cache_mib=32) for name, grown in one.grown.items()})
    assert not by_id(matrix(capped, Declarations()), "prompt-cache"), "as the runner's own environment says"


def at_load(**settings: int | str) -> int:
    settings = {"num_ctx": 32768, **settings}
    return estimate(LLAMA, weights_bytes=16 * 2**30, version=(0, 17, 4), **settings).at_load  # type: ignore[arg-type]


def test_context_parallelism_and_kv_cache_are_estimated_at_the_present_and_the_proposed_setting(tree: Path) -> None:
    variables = '      OLLAMA_NUM_PARALLEL: "4"\n'
    found = matrix(server(held("big", context=32768)), declared(compose__yaml=COMPOSE.format("0.17.4", variables)))
    [context], [parallel], [kv] = (by_id(found, kind) for kind in ("context", "parallel", "kv-cache"))
    assert context.gain.bytes == at_load(parallel=4) - at_load(parallel=4, num_ctx=4096)
    # 0.5 GiB of KV cache for each 4096, and the 48 bytes that llama.cpp keeps of each cell.
    assert context.gain.bytes == 4 * 7 * (2**29 + 4096 * 48)
    assert parallel.gain.bytes == at_load(parallel=4) - at_load()
    assert kv.gain.bytes == at_load(parallel=4) - at_load(parallel=4, kv_cache_type="q8_0")
    assert "OLLAMA_NUM_PARALLEL is taken" not in kv.gain.how
    assert "OLLAMA_KV_CACHE_TYPE is taken to be f16" in parallel.gain.how
    assert parallel.commands == (
        "OLLAMA_NUM_PARALLEL=1 in the environment at compose.yaml:2:3, then start the server again",
    )
    assert not any(one.is_recommended for one in (context, parallel, kv))


def test_a_context_beyond_the_declared_is_recommended_back(tree: Path) -> None:
    files = declared(m__tf=model("big", f"{MANUAL}\n  parameters = {{ num_ctx = 8192 }}"))
    [context] = by_id(matrix(server(held("big", context=32768)), files), "context")
    assert (context.is_recommended, "8192" in context.title) == (True, True)


def test_a_context_is_changed_where_it_is_set() -> None:
    one = server(held("big", context=32768))
    [context] = by_id(matrix(one, Declarations()), "context")
    assert "OLLAMA_CONTEXT_LENGTH=4096" in context.commands[0]
    own = {name: replace(details, num_ctx=32768) for name, details in one.details.items()}
    [context] = by_id(matrix(one._replace(details=own), Declarations()), "context")
    assert context.commands == (
        f"OLLAMA_HOST={URL} ollama stop big:latest && curl {URL}/api/create -d "
        """'{"model": "big:latest", "from": "big:latest", "parameters": {"num_ctx": 4096}}'""",
    )


def test_a_kv_cache_with_which_a_model_would_not_load_is_no_remedy() -> None:
    heads_of_80 = LLAMA | {"llama.attention.key_length": 80, "llama.attention.value_length": 80}
    for metadata, count in ((LLAMA, 1), (heads_of_80, 0)):
        found = matrix(server(held("a"), version="0.34.3", metadata=metadata), Declarations())
        assert len(by_id(found, "kv-cache")) == count
    old = matrix(server(held("a"), version="0.17.4", metadata=heads_of_80), Declarations())
    assert by_id(old, "kv-cache"), "before 0.30 it is not refused"


def test_what_cannot_be_estimated_is_not_known() -> None:
    found = matrix(server(held("odd", context=32768), metadata=of_architecture("other")), Declarations())
    [context] = by_id(found, "context")
    assert context.gain.bytes is None
    assert "'other' is not known" in context.gain.how


def test_the_recommended_come_first_then_bytes_and_the_unknown_last(tree: Path) -> None:
    files = declared(m__tf=model("wanted", MANUAL))
    memory = (held("small", 5), held("large", 50), held("wanted", 500, context=32768))
    found = matrix(server(*memory, version="0.6.5"), files)
    first = [(one.id, one.target) for one in found if one.is_recommended]
    assert first == [
        ("undeclared", "large:latest"),
        ("undeclared", "small:latest"),
        ("version", "the server"),
    ]
    assert [one.is_recommended for one in found] == sorted((one.is_recommended for one in found), reverse=True)
    rest = [one.gain.bytes for one in found if not one.is_recommended]
    assert rest == sorted(rest, key=lambda count: -1 if count is None else count, reverse=True)


def test_a_server_that_never_releases_is_bound(tree: Path) -> None:
    files = declared(compose__yaml=COMPOSE.format("0.17.4", '      OLLAMA_KEEP_ALIVE: "-1"\n'))
    [found] = [one for one in by_id(matrix(server(held("a", 6)), files), "keep-alive") if one.target == "the server"]
    assert (found.gain.bytes, found.is_recommended, [edit.rule for edit in found.edits]) == (6, True, ["OLL109"])


def test_of_two_servers_no_settings_are_taken(tree: Path) -> None:
    one = COMPOSE.format("0.17.4", '      OLLAMA_NUM_PARALLEL: "4"\n')
    assert declared(compose__yaml=one + one.replace("services:\n", "").replace("ollama:\n", "b:\n", 1)).settings == (
        Settings()
    )


def test_manual_is_called_for_only_where_something_is_not(tree: Path) -> None:
    assert not by_id(matrix(server(held("wanted")), declared(m__tf=model("wanted", MANUAL))), "manual")
    assert not by_id(
        matrix(server(held("off")), declared(m__tf=model("off", MANUAL + "\n  resident = false"))), "manual"
    )
    loose = declared(m__tf=model("loose", AUTOMATIC))
    for held_now, is_recommended in ((server(), False), (server(held("loose")), True)):
        [manual] = by_id(matrix(held_now, loose), "manual")
        assert (bool(manual.edits), manual.is_recommended) == (True, is_recommended)


def test_nothing_that_gives_nothing_back_is_recommended(tree: Path) -> None:
    variables = "      OLLAMA_KEEP_ALIVE: -1\n"
    found = matrix(server(), declared(m__tf=model("a", AUTOMATIC), compose__yaml=COMPOSE.format("0.17.4", variables)))
    assert [one.gain.bytes for one in by_id(found, "keep-alive")] == [0, 0]
    assert not any(one.is_recommended for one in found)
