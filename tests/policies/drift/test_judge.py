"""The whole table of what can be declared and what a server can show; pure."""

from datetime import timedelta
from pathlib import Path

import pytest

from ollama_policy.commands.drift.judge import judge
from ollama_policy.live.snapshot import AbandonedRunner, ServerState
from ollama_policy.model.rule import Finding, Severity
from tests.policies.drift.servers import NOW, OLD, URL, declared_in, running, seen

MANUAL = 'memory_management = "manual"'
ABSENT = f"{MANUAL}\n  resident = false"
FIVE = 'keep_alive = "5m"'
MINUTES = timedelta(minutes=5)
DISK = {"chat": NOW}


def judged(attributes: str, server: ServerState, *, is_complete: bool = True) -> list[Finding]:
    models = declared_in(
        models__tf=f'resource "ollama_model" "m" {{\n  name = "chat"\n  {attributes}\n}}\n',
    )
    return judge(server, models.models, (), is_complete and models.is_complete)


@pytest.mark.parametrize(
    ("attributes", "server", "ids"),
    [
        ("", seen({}), "OLL501"),
        ("", seen(DISK), ""),
        ("", seen({"CHAT:Latest": NOW}), ""),
        (f'digest = "{NOW}"', seen(DISK), ""),
        (f'digest = "sha256:{NOW}"', seen(DISK), ""),
        (f'digest = "{OLD}"', seen(DISK), "OLL502"),
        ("", seen(DISK | {"chat:ollama-iac-previous-a36d5a0b3de1": OLD}), "OLL510"),
        (MANUAL, seen(DISK), "OLL503"),
        (MANUAL, seen(DISK, [running("chat")]), ""),
        (MANUAL, seen(DISK, [running("chat", MINUTES)]), "OLL504"),
        (MANUAL, seen(DISK, [running("chat", -MINUTES)]), "OLL504"),
        (MANUAL, seen({}, [running("chat")]), "OLL501 OLL507"),
        (MANUAL, seen(DISK, [running("chat", digest=OLD)]), "OLL503 OLL507"),
        (MANUAL, seen(DISK, [running("chat"), running("chat", digest=OLD)]), "OLL507"),
        (MANUAL, seen(DISK, [running("chat", MINUTES), running("chat", digest=OLD)]), "OLL504 OLL507"),
        (ABSENT, seen(DISK), ""),
        (ABSENT, seen(DISK, [running("chat", MINUTES)]), "OLL505"),
        (ABSENT, seen(DISK, [running("chat")]), "OLL505"),
        (ABSENT, seen(DISK, [running("chat", digest=OLD)]), "OLL507"),
        ("", seen(DISK, [running("chat")]), "OLL513"),
        ("", seen(DISK, [running("chat", MINUTES)]), ""),
        ("", seen(DISK, [running("chat"), running("other", digest=OLD)]), "OLL507 OLL513"),
        ('memory_management = "automatic"', seen(DISK, [running("chat")]), "OLL513"),
        ("keep_alive = var.time", seen(DISK, [running("chat")]), ""),
        (FIVE, seen(DISK, [running("chat", MINUTES)]), ""),
        (FIVE, seen(DISK, [running("chat", MINUTES + timedelta(seconds=1.9))]), ""),
        (FIVE, seen(DISK, [running("chat", MINUTES + timedelta(seconds=2.1))]), "OLL506"),
        (FIVE, seen(DISK, [running("chat")]), "OLL506"),
        ('keep_alive = "2540400h10m10s"', seen(DISK, [running("chat", timedelta(days=30))]), ""),
        ("", seen(DISK, [running("other")]), "OLL507"),
        ("", seen(DISK | {"other": OLD}, [running("other", digest=OLD)]), "OLL508 OLL510"),
        ("", seen(DISK | {"base": OLD}), "OLL510"),
        ('base = "base"', seen(DISK | {"base": OLD}), ""),
        (
            'base = "base"\n  parameters = { num_ctx = 2048 }',
            seen(DISK | {"base": OLD}, [running("chat", MINUTES)]),
            "",
        ),
        (
            'base = "base"\n  parameters = { num_ctx = 512 }',
            seen(DISK | {"base": OLD}, [running("chat", MINUTES)]),
            "OLL511",
        ),
        (
            'base = "base"\n  parameters = { num_ctx = "512" }',
            seen(DISK | {"base": OLD}, [running("chat", MINUTES)]),
            "OLL511",
        ),
        ("", seen(DISK, version="0.6.5"), "OLL509"),
        ("", seen(DISK, version="0.33.0"), ""),
        ("", seen(DISK, version="not one"), ""),
        ("memory_management = var.mode", seen(DISK), ""),
        ('keep_alive = "-1"', seen(DISK, [running("chat")]), ""),
    ],
)
def test_table(tree: Path, attributes: str, server: ServerState, ids: str) -> None:
    assert sorted(finding.rule.id for finding in judged(attributes, server)) == ids.split()


def test_a_pin_that_nothing_bounds_is_a_warning_with_both_cures(tree: Path) -> None:
    [found] = judged('memory_management = "automatic"', seen(DISK, [running("chat")]))
    assert (found.rule.severity, found.severity) == (Severity.WARNING, None)
    assert found.span.start == found.file.data.index(b'"automatic"')
    assert 'keep_alive = "5m"' in found.advice
    assert 'memory_management = "manual"' in found.advice


def test_where_not_all_is_known_nothing_is_called_undeclared(tree: Path) -> None:
    server = seen(DISK | {"other": OLD}, [running("other", digest=OLD), running("gone")])
    assert [one.rule.id for one in judged("", server, is_complete=False)] == ["OLL507"]
    unnamed = declared_in(a__tf='variable "n" {}\nresource "ollama_model" "n" {\n  name = var.n\n}\n')
    assert (unnamed.is_complete, [one.key for one in unnamed.undecided]) == (False, ["name"])


def test_an_apply_that_was_cut_off_is_told(tree: Path) -> None:
    models = declared_in(models__tf='resource "ollama_model" "m" {\n  name = "chat"\n}\n').models
    (finding,) = judge(seen(DISK | {str(models[0].second_name): OLD}), models, (), True)
    assert finding.rule.id == "OLL502"
    assert "an apply was cut off" in finding.message


def test_an_orphan_that_will_go_by_itself_fails_no_run(tree: Path) -> None:
    (finding,) = judged("", seen(DISK, [running("gone", MINUTES, OLD)]))
    assert (finding.severity, "released in 5m" in finding.message) == (Severity.INFO, True)
    assert finding.advice == f"ollama-policy reclaim --host {URL}"
    (finding,) = judged("", seen(DISK, [running("gone")]))
    assert finding.severity is None


def test_an_orphan_that_another_name_still_reaches_is_stopped_by_that(tree: Path) -> None:
    server = seen({"chat": NOW, "kept": OLD}, [running("chat", digest=OLD)])
    (finding,) = [one for one in judged("", server) if one.rule.id == "OLL507"]
    assert finding.advice == f"OLLAMA_HOST={URL} ollama stop kept:latest"
    assert (finding.file.path, finding.file.is_file) == ("models.tf", True)


@pytest.mark.parametrize(
    ("path", "text", "command"),
    [
        ("models__tf", 'resource "ollama_model" "m" {\n  name = "chat"\n}\n', "terraform apply -target=ollama_model.m"),
        (
            "a b/models__tf",
            'resource "ollama_model" "m" {\n  for_each = toset(["x"])\n  name = "chat"\n}\n',
            "terraform -chdir='a b' apply -target='ollama_model.m[\"x\"]'",
        ),
        (
            "infra/__main____py",
            'from ollama_provider import OllamaModel\nOllamaModel("c", name="chat")\n',
            "pulumi up --refresh --cwd infra --target '**::c'",
        ),
        (
            "models__yaml",
            "- name: chat\n  memory_management: automatic\n  insecure: true\n",
            f"OLLAMA_HOST={URL} ollama pull --insecure chat:latest",
        ),
    ],
)
def test_the_command_is_that_of_the_engine(tree: Path, path: str, text: str, command: str) -> None:
    path = path.replace("__main__", "@").replace("__", ".").replace("@", "__main__")
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    (finding,) = judge(seen({}), declared_in().models, (), True)
    assert finding.advice == command


DERIVED = "- {name: chat, memory_management: manual, base: b, parameters: {num_ctx: '512'}"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (
            DERIVED + ', system: "it\'s"}',
            f"curl -fsS {URL}/api/create -d "
            """'{"model": "chat:latest", "from": "b:latest", "parameters": {"num_ctx": 512}, """
            """"system": "it'"'"'s", "stream": false}'""",
        ),
        (DERIVED + f", system: {'x' * 1000}}}", "make chat:latest again, as it is declared"),
        ("- {name: chat, memory_management: manual, gguf: x.gguf}", "make chat:latest again, as it is declared"),
    ],
    ids=["derived", "too long for a line", "from a file"],
)
def test_what_is_made_here_is_made_again(tree: Path, text: str, command: str) -> None:
    (finding,) = judge(seen({}), declared_in(models__yaml=text + "\n").models, (), True)
    assert (finding.rule.id, finding.advice) == ("OLL501", command)


def test_a_second_name_that_no_engine_will_remove_is_removed_by_hand(tree: Path) -> None:
    models = declared_in(models__yaml=DERIVED + "}\n").models
    second = str(models[0].second_name)
    found = judge(seen(DISK | {"b": NOW, second: OLD}, [running("chat", context=512)]), models, (), True)
    assert [one.advice for one in found] == [f"OLLAMA_HOST={URL} ollama rm {second}"]


def test_a_context_that_grew_under_a_pin_is_fixed_with_the_pin_kept(tree: Path) -> None:
    models = declared_in(models__yaml=DERIVED + "}\n").models
    found = judge(seen(DISK | {"b": NOW}, [running("chat", context=2048)]), models, (), True)
    assert [one.advice for one in found] == [f"OLLAMA_HOST={URL} ollama run --keepalive -1m chat:latest ''"]


def test_a_model_of_many_servers_is_told_of_each_by_a_value_of_its_own(tree: Path) -> None:
    models = declared_in(models__tf='resource "ollama_model" "m" {\n  name = "chat"\n}\n').models
    values = {judge(seen({}, url=url), models, (), True)[0].value for url in ("http://a:1", "http://b:1")}
    assert values == {"chat:latest at http://a:1", "chat:latest at http://b:1"}


def remote(name: str, host: str = "https://ollama.com:443") -> ServerState:
    server = seen({name: NOW})
    [(key, model)] = server.installed.items()
    return server._replace(installed={key: model._replace(remote_host=host, remote_model="gpt-oss:120b")})


def test_a_cloud_model_that_is_declared_resident_is_told_and_no_apply_is_shown(tree: Path) -> None:
    [found] = judged(MANUAL, remote("chat"))
    assert found.rule.id == "OLL503"
    assert "and an apply refuses this: chat:latest runs on https://ollama.com:443 as gpt-oss:120b" in found.message
    assert found.advice.startswith('declare memory_management = "automatic"')
    assert judged(FIVE, remote("chat")) == []


@pytest.mark.parametrize(("version", "advice"), [("0.18.0", "terraform apply"), ("0.34.3", "declare ")])
def test_a_model_that_makes_images_is_told_where_no_apply_loads_it(tree: Path, version: str, advice: str) -> None:
    server = seen(DISK, version=version)
    [(key, model)] = server.installed.items()
    [found] = judged(MANUAL, server._replace(installed={key: model._replace(capabilities=("image",))}))
    assert (found.rule.id, found.advice.startswith(advice)) == ("OLL503", True)


@pytest.mark.parametrize(
    ("version", "command"),
    [
        ("0.17.4", f"OLLAMA_HOST={URL} ollama rm chat:local"),
        (
            "0.34.3",
            "remove the file manifests/registry.ollama.ai/library/chat/local from the server's folder of models",
        ),
        ("no version", "remove the file manifests/registry.ollama.ai/library/chat/local from the server's folder"),
    ],
)
def test_no_command_is_shown_by_which_ollama_reaches_another_model(tree: Path, version: str, command: str) -> None:
    [found] = judged("", seen(DISK | {"chat:local": NOW}, version=version))
    assert (found.rule.id, found.advice.startswith(command)) == ("OLL510", True), found.advice


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.17.4", "with one of num_ctx, num_batch, num_gpu, num_thread, use_mmap"),
        ("0.34.3", "use_mmap: true, main_gpu, draft_num_predict, shift: false"),
    ],
)
def test_a_lost_pin_names_what_that_version_reloads_by(tree: Path, version: str, said: str) -> None:
    [found] = judged(MANUAL, seen(DISK, [running("chat", MINUTES)], version=version))
    assert found.message.endswith(said), found.message


def test_no_options_are_named_of_a_safetensors_model(tree: Path) -> None:
    server = seen(DISK, [running("chat", MINUTES)])
    [(key, model)] = server.installed.items()
    [found] = judged(MANUAL, server._replace(installed={key: model._replace(format="safetensors")}))
    assert found.message.endswith("a client's own keep_alive; no options reload a safetensors model")


def test_a_context_that_is_declared_tells_what_lost_the_pin(tree: Path) -> None:
    declared = f'base = "base"\n  parameters = {{ num_ctx = 4096 }}\n  {MANUAL}'
    found, *_ = judged(declared, seen(DISK | {"base": OLD}, [running("chat", MINUTES)]))
    assert "num_ctx in a client's options reloaded it with a context of 2048 where 4096" in found.message


def test_an_abandoned_runner_is_a_fact_about_the_server(tree: Path) -> None:
    runner = AbandonedRunner(331, f"sha256:{NOW}", 20 * 2**20, "ollama")
    [found] = judged("", seen(DISK)._replace(abandoned=(runner,)))
    assert (found.rule.id, found.file.path) == ("OLL512", URL)
    assert "process 331 of ollama is a runner whose server was killed: it holds 20 MiB" in found.message


@pytest.mark.parametrize("written", ["models.tf", "models.yaml"])
@pytest.mark.parametrize("on_disk", [{}, {"chat:local": NOW, "gpt-oss:20b-cloud": NOW}])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chat:local", "a tag other than local"),
        ("gpt-oss:20b-cloud", '"automatic" for a model that runs on ollama.com'),
    ],
)
def test_no_apply_is_advised_that_would_be_refused(
    tree: Path, name: str, words: str, on_disk: dict[str, str], written: str
) -> None:
    text = f'resource "ollama_model" "m" {{\n  name = "{name}"\n  {MANUAL}\n}}\n'
    if written == "models.yaml":
        text = f"models:\n  - name: {name}\n    memory_management: manual\n"
    models = declared_in(**{written.replace(".", "__"): text}).models
    found = [one for one in judge(seen(on_disk), models, (), True) if one.rule.id in ("OLL501", "OLL503")]
    assert len(found) == 1
    assert found[0].advice.startswith("change the declaration, which an apply refuses: ")
    assert words in found[0].advice
