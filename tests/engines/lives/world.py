"""One server, who has what on it, and what must hold whatever happens."""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ollama_provider.apply.declarations import Residents
from ollama_provider.apply.drift import second_name
from ollama_provider.model import declare
from ollama_provider.ollama.names import ModelName
from tests.engines.observing import installed, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry

SETTLE_SECONDS = 15.0
_MOST_LOADED = 3  # without a GPU
PANIC_SECONDS = 0.05
Values = dict[str, Any]


@dataclass(frozen=True)
class Kill:
    """A kill -9 at the nth request of an apply, before it is sent or once its answer begins."""

    request: int
    is_before: bool


@dataclass(frozen=True)
class Applied:
    """What became of an apply: the failures by key, and whether it was killed before its end."""

    failures: Mapping[str, str] = field(default_factory=dict)
    was_killed: bool = False


class Engine(Protocol):
    """Something that applies declarations and keeps states."""

    can_adopt: bool

    def apply(self, declared: Mapping[str, Values], kill: Kill | None = None) -> Applied: ...

    def adopt(self, key: str, name: str) -> None:
        """Imports a model into the state, as a resource that the next apply may declare."""

    def known(self) -> dict[str, str]:
        """The full names of the models in the state, by key."""


class BrokenPromiseError(AssertionError):
    """Something that must always hold did not."""


class World:
    """A server that starts empty. `people` are the models that a person made and has not removed: name and digest."""

    def __init__(self, server: OllamaServer, registry: Registry, engine: Engine, ggufs: list[Path]) -> None:
        self.server = server
        self.registry = registry
        self.engine = engine
        self.ggufs = ggufs
        self.people: dict[str, str] = {}
        self.declared: dict[str, Values] = {}
        self.is_cut_off = False
        self.in_no_state: set[str] = set()  # of a killed apply, and not declared since: nobody will go on from it
        self.crashes = 0  # of the server, by a fault of its own

    def catalogue(self) -> list[Values]:
        """What may be declared now: pulled, uploaded, derived, and what a person made."""
        pulled = [self.registry.reference(name) for name in ("tiny:latest", "other:latest")]
        made_here = [{"name": f"up-{at}", "gguf": str(gguf)} for at, gguf in enumerate(self.ggufs[2:4])]
        derived = {"name": "derived", "base": pulled[0], "insecure": True, "system": "be brief"}
        found = [{"name": name} for name in self.people if name in installed(self.server)]
        return [*({"name": name, "insecure": True} for name in pulled), *made_here, derived, *found]

    def apply(self, declared: Mapping[str, Values], kill: Kill | None = None) -> Applied:
        before, blobs, there = self.engine.known(), self._complete_blobs(), installed(self.server).keys()
        served = {blob: self.registry.blob_bytes_served(blob) for blob in blobs}
        done = self.engine.apply(declared, kill)
        if done.was_killed:
            self._start_again_after_a_panic()
        self.is_cut_off = done.was_killed
        self.declared = dict(declared)
        names = {full(values["name"]) for values in declared.values()}
        if done.was_killed:
            self.in_no_state |= names - set(self.engine.known().values())
        elif not done.failures:
            self.in_no_state -= names
        for blob, count in served.items():
            if self.registry.blob_bytes_served(blob) != count:
                raise BrokenPromiseError(f"{blob} was on the server, and was downloaded again")
        stay = set(before.values()) & names & there
        self.must_be_there(stay if done.failures or done.was_killed else set(self.engine.known().values()))
        if not done.was_killed and not done.failures:
            self._must_be_as_declared()
        return done

    def client_call(self, name: str, **fields: Any) -> None:
        """A client's own call; one that Ollama refuses is as good as any."""
        body = {"model": name, "prompt": "hello", "stream": False, "options": {"num_predict": 1}} | fields
        self.server.call("POST", "/api/generate", body)
        self.must_be_there(set())

    def person_makes(self, name: str, gguf: Path) -> None:
        self.server.create_from_gguf(name, gguf)
        self.people[full(name)] = installed(self.server)[full(name)]

    def person_copies(self, source: str, name: str) -> None:
        self.server.call("POST", "/api/copy", {"source": source, "destination": name}).raise_for_status()
        self.people[full(name)] = installed(self.server)[full(name)]

    def person_removes(self, name: str) -> None:
        """Unloads before: who deletes a model in memory makes an orphan, and it is not ours."""
        self.server.call("POST", "/api/generate", {"model": name, "keep_alive": 0})
        self.server.call("DELETE", "/api/delete", {"model": name}).raise_for_status()
        del self.people[name]

    def must_be_there(self, names: set[str]) -> None:
        """Nothing of a person's or of `names` is lost, and every runner belongs to a name that is there."""
        there = installed(self.server)
        for name in names | self.people.keys():
            kept = self.is_cut_off and str(second_name(ModelName.parse(name))) in there
            if name not in there and not kept:
                raise BrokenPromiseError(f"{name} is lost: there are {sorted(there)}")
        for name, digest in self.people.items():
            if name in there and there[name] != digest:
                raise BrokenPromiseError(f"{name}, which a person made, has another content")
        self._every_runner_has_an_owner()

    def end(self) -> None:
        """Destroys all, after an apply that goes on from what was cut off: what a person made is still there."""
        if self.is_cut_off:
            possible = _those_that_fit(self.declared)
            done = self.apply(possible)
            if done.failures:  # where a pin moves to another name of its weights, the first apply only releases it
                done = self.apply(possible)
            # A person's copy that a client pinned, or that is declared, is a second resident: that is rightly refused.
            if any("is pinned on the same weights" not in why for why in done.failures.values()):
                raise BrokenPromiseError(f"the apply after a kill does not come to its end: {done.failures}")
        done = self.apply({})
        if done.failures:
            raise BrokenPromiseError(f"a destroy fails: {done.failures}")
        unknown = {str(second_name(ModelName.parse(name))) for name in self.in_no_state}
        left = [name for name in installed(self.server) if "ollama-iac-previous" in name and name not in unknown]
        if left:
            raise BrokenPromiseError(f"second names are left: {left}")

    def _start_again_after_a_panic(self) -> None:
        """Ollama 0.34.3 ends where a client leaves a pull as a part's download begins: a nil CancelFunc is called.

        Seen here, in server/download.go: blobDownload.release. No client can prevent it.
        """
        time.sleep(PANIC_SECONDS)
        if self.server.process and self.server.process.poll() is not None:
            if "blobDownload).release" not in self.server.log.read_text(errors="replace")[-8000:]:
                raise BrokenPromiseError("the server ended")
            self.crashes += 1
            self.server.restart()

    def _every_runner_has_an_owner(self) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while problem := self._runner_without_owner():
            if time.monotonic() > deadline:
                raise BrokenPromiseError(problem)
            time.sleep(0.05)

    def _runner_without_owner(self) -> str:
        there, running = installed(self.server), self.server.ps()
        orphans = [one["name"] for one in running if there.get(one["name"]) != one["digest"]]
        if orphans and not self.is_cut_off:
            return f"in memory without a name on disk: {orphans}"
        runners = self.server.runners()
        return "" if len(runners) == len(running) else f"{len(runners)} runners, and {len(running)} models in /api/ps"

    def _must_be_as_declared(self) -> None:
        held = pinned(self.server)
        for values in self.declared.values():
            is_resident = values.get("memory_management") == "manual" and values.get("resident") is not False
            if is_resident and full(values["name"]) not in held:
                raise BrokenPromiseError(f"{values['name']} is declared resident, and pinned are {held}")

    def _complete_blobs(self) -> set[str]:
        """Digests of the files of models that are whole on the server's disk."""
        models = self.server.folder / "models"
        manifests = [json.loads(path.read_bytes()) for path in models.glob("manifests/**/*") if path.is_file()]
        used = {layer["digest"] for manifest in manifests for layer in manifest["layers"]}
        return {digest for digest in used if (models / "blobs" / digest.replace(":", "-")).exists()}


def full(name: str) -> str:
    return str(ModelName.parse(name))


def _those_that_fit(declared: Mapping[str, Values]) -> dict[str, Values]:
    """The declarations, with as many residents as the server holds, one a weights file: more, every apply refuses."""
    residents, possible, held = Residents(), {}, 0
    for key, values in declared.items():
        one = declare({**values, "host": None})
        excluded = residents.problem_with("", one) or (one.must_be_resident and held == _MOST_LOADED)
        held += one.must_be_resident and not excluded
        possible[key] = values | ({"resident": False} if excluded else {})
    return possible


def choose_declarations(world: World, draw: random.Random, keys: int = 4) -> dict[str, Values]:
    """Distinct models under some of the keys, each with a way to manage its memory and a way to write the host."""
    catalogue = world.catalogue()
    draw.shuffle(catalogue)
    chosen: dict[str, Values] = {}
    port = world.server.port
    for key in (f"r{at}" for at in range(keys)):
        if draw.random() < 0.5 or not catalogue:
            continue
        memory: Values = draw.choice(
            [
                {"memory_management": "manual"},
                {"memory_management": "manual"},
                {"memory_management": "manual", "resident": False},
                {"keep_alive": "5m"},
                {},
            ]
        )
        host = draw.choice([None, None, f"http://localhost:{port}", f"127.0.0.1:{port}/"])
        chosen[key] = catalogue.pop() | memory | ({"host": host} if host else {})
    return chosen
