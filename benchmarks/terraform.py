"""What the Terraform provider adds to Terraform's own time, against resources that do nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event, Thread

import psutil

from benchmarks.measuring import Report, Result, interleaved, ratio, server_in_folder
from ollama_provider.ollama.sizes import MIB
from ollama_provider.terraform.protocol import cookie
from tests.engines.errors import EngineError
from tests.engines.ollama_server import OllamaServer
from tests.engines.terraform_stack import PROVIDER, TerraformStack
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines

MODELS = 1_000
PAIRS = 5
STARTS = 15
MODEL = 'resource "ollama_model" "m" {{\n  count = {count}\n  name  = "m${{count.index}}"\n}}\n'
NOTHING = 'resource "terraform_data" "m" {{\n  count = {count}\n  input = "m${{count.index}}"\n}}\n'
TEXTS = {"model": MODEL, "nothing": NOTHING}


def measure(engines: Engines, report: Report) -> list[Result]:
    with ExitStack() as stacks:
        server, folder = stacks.enter_context(server_in_folder(engines))
        write_llama(folder / "tiny.gguf")
        server.create_from_gguf("m0", folder / "tiny.gguf")
        one = {name: _stack(stacks, server, folder / f"one-{name}", text, 1) for name, text in TEXTS.items()}
        one["floor"] = _floor(stacks, server, folder / "one-floor", 1)
        applied = interleaved({name: partial(_new_apply, stack) for name, stack in one.items()}, PAIRS, report)
        for number in range(1, MODELS):
            server.call("POST", "/api/copy", {"source": "m0", "destination": f"m{number}"})
        many = {name: _stack(stacks, server, folder / f"many-{name}", text, MODELS) for name, text in TEXTS.items()}
        many["floor"] = _floor(stacks, server, folder / "many-floor", MODELS)
        for name, stack in many.items():
            report(f"{MODELS} resources of {name} are applied")
            stack.run("apply", "-auto-approve", timeout=600)
        runs = {name: partial(_plan, stack) for name, stack in many.items()}
        runs["not refreshed"] = partial(_plan, many["model"], "-refresh=false")
        plans = interleaved(runs, PAIRS, report)
        requests, resident = _watched_plan(many["model"], server)
    starts = [_handshake() for _ in range(STARTS)]
    bare = [_bare_python() for _ in range(STARTS)]
    what = f"plan over {MODELS} existing models"
    return [
        ratio(f"{what}, against as many terraform_data", plans["model"], plans["nothing"], 3),
        ratio(f"{what}, -refresh=false, against the same", plans["not refreshed"], plans["nothing"], None),
        ratio("the same schema by a provider that does nothing, against it", plans["floor"], plans["nothing"], None),
        ratio(f"{what}, against that provider", plans["model"], plans["floor"], None),
        Result(f"requests to the server by {what}", requests, "", goal=4),
        Result(f"the provider's resident memory at {MODELS} models", resident / MIB, "MiB", goal=150),
        ratio("apply of one existing model, against a terraform_data", applied["model"], applied["nothing"], 1.5),
        ratio("apply of one existing model, against that provider", applied["model"], applied["floor"], None),
        Result("from the provider's start to its handshake", median(starts), "s", min(starts), max(starts)),
        Result("the same beyond bare Python", median(starts) - median(bare), "s", goal=0.35),
    ]


def _stack(stacks: ExitStack, server: OllamaServer, folder: Path, text: str, count: int) -> TerraformStack:
    stack = TerraformStack(folder, text.format(count=count), {"OLLAMA_HOST": server.url})
    return stacks.enter_context(stack)


def _floor(stacks: ExitStack, server: OllamaServer, folder: Path, count: int) -> TerraformStack:
    script = folder.with_suffix(".py")
    script.write_text(f"#!{sys.executable}\nfrom benchmarks.no_op_provider import main\n\nmain()\n")
    script.chmod(0o755)
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = {"OLLAMA_HOST": server.url, "PYTHONPATH": paths}
    return stacks.enter_context(TerraformStack(folder, MODEL.format(count=count), environment, script))


def _plan(stack: TerraformStack, *arguments: str) -> float:
    """The seconds of a plan that must find nothing to change."""
    began = time.perf_counter()
    running = stack.start("plan", *arguments)
    running.wait()
    seconds = time.perf_counter() - began
    outcome = running.outcome()
    if outcome.returncode or outcome.planned:
        raise EngineError(f"a plan that finds something to change: {outcome.planned}\n{outcome.text}")
    return seconds


def _new_apply(stack: TerraformStack) -> float:
    """The seconds of an apply to an empty state."""
    for file in stack.project.glob("terraform.tfstate*"):
        file.unlink()
    began = time.perf_counter()
    running = stack.start("apply", "-auto-approve")
    running.wait()
    seconds = time.perf_counter() - began
    if running.returncode:
        raise EngineError(running.outcome().text)
    return seconds


def _watched_plan(stack: TerraformStack, server: OllamaServer) -> tuple[int, int]:
    """How many requests a plan makes, and the most that one of its plugin processes holds, in bytes."""
    since, most, done = server.mark(), 0, Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            for process in stack.strays():
                try:
                    if any("terraform-provider-ollama" in argument for argument in process.cmdline()):
                        most = max(most, process.memory_info().rss)
                except psutil.Error:
                    continue

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    _plan(stack)
    done.set()
    watcher.join()
    return len(server.requests(since)), most


def _handshake() -> float:
    """From the start of the plugin as Terraform starts it, TLS included, to its line."""
    environment = {**os.environ, cookie.NAME: cookie.VALUE, "PLUGIN_CLIENT_CERT": "any"}
    began = time.perf_counter()
    with subprocess.Popen(
        [PROVIDER], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as plugin:
        assert plugin.stdout
        line = plugin.stdout.readline()
        seconds = time.perf_counter() - began
        plugin.terminate()
    if not line.startswith(b"1|6|"):
        raise EngineError(f"no handshake: {line!r}")
    return seconds


def _bare_python() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began
