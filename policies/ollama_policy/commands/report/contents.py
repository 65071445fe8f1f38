"""What a report is made of: plain values, gathered once and written in three formats."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ollama_policy.commands.bench.table import Comparison
from ollama_policy.commands.fit.text import Judged
from ollama_policy.commands.probe.account import Account
from ollama_policy.commands.probe.text import num_ctx
from ollama_policy.commands.remedies.remedy import Remedy as Concrete
from ollama_policy.commands.report import benching
from ollama_policy.commands.report.pictures import fitting, words
from ollama_policy.commands.report.pictures.architecture import Architecture, architecture
from ollama_policy.commands.report.pictures.sequence import Step, steps
from ollama_policy.commands.report.remedies import Remedy, remedies
from ollama_policy.formats.writing import many
from ollama_policy.live.snapshot import Server, ServerState
from ollama_policy.model.result import Reported, Unreadable


class Contents(NamedTuple):
    """`account` is None where no call was measured, `server` where none was looked at."""

    made_at: datetime
    tool: str
    account: Account | None = None
    server: Server | None = None
    findings: Sequence[Reported] | None = None  # None: no sources were given
    drift: Sequence[Reported] = ()
    unreadable: Sequence[Unreadable] = ()
    evicted: Sequence[str] = ()  # models that left memory while another was called
    fit: Judged | None = None  # None: no sources were given, or nothing of them is for this server
    bench: Comparison | None = None
    recommended: Sequence[Concrete] = ()  # what `remedies` recommends at the same moment

    @property
    def title(self) -> str:
        of = self.server.url if self.server else self.account.server if self.account else "Ollama"
        return f"Memory of {of}"

    @property
    def steps(self) -> list[Step]:
        return [] if self.account is None else steps(self.account)

    @property
    def architecture(self) -> Architecture:
        return architecture(self.server)

    @property
    def remedies(self) -> list[Remedy]:
        ids = {one.finding.rule.id for one in (*(self.findings or ()), *self.drift)}
        return remedies(ids, self.server, self.recommended, self.account)

    @property
    def summary(self) -> list[str]:
        """The report in a few sentences."""
        found = []
        if self.account is not None:
            calls = self.account.calls[-1].number if self.account.calls else 0
            measured = f", M = {words.change(self.account.total)} over {calls} calls" if calls else ""
            found.append(f"{self.account.model}: {words.verdict(self.account)}{measured}.")
            if self.account.called.num_ctx:
                found.append(f"{num_ctx(self.account.called.num_ctx)}.")
        if isinstance(self.server, ServerState):
            in_memory, held = many(len(self.server.running.models), "model"), len(self.architecture.held)
            found.append(f"{in_memory} in memory as it was found, {held} of them held beyond a timer.")
        found += [
            f"{one} was in memory before the calls, and is not now: Ollama evicted it for room, or its timer ran out."
            for one in self.evicted
        ]
        if self.findings is not None:
            found.append(f"{many(len(self.findings), 'finding')} in the sources.")
        if self.server is not None:
            found.append(f"{many(len(self.drift), 'finding')} about the server.")
        if self.fit is not None:
            found.append(fitting.sentence(self.fit))
        if self.bench is not None:
            found.append(benching.sentence(self.bench))
        found += [f"Could not be looked at: {one.path}: {one.message}." for one in self.unreadable]
        return found

    @property
    def made(self) -> str:
        return f"Made {self.made_at:%Y-%m-%d %H:%M:%S} UTC by ollama-policy {self.tool}."
