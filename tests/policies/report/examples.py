"""A probe and a server to draw."""

from datetime import UTC, datetime, timedelta

from ollama_policy.commands.bench.figures import Figures, Gain
from ollama_policy.commands.bench.sides import Side
from ollama_policy.commands.bench.table import Comparison
from ollama_policy.commands.drift.judge import judge
from ollama_policy.commands.fit.text import Judged
from ollama_policy.commands.probe.account import Account, Sight, account
from ollama_policy.commands.probe.probing import DIFFERENT, REPEATED, Called, Sample
from ollama_policy.commands.report.contents import Contents
from ollama_policy.live.capacity.settings import Found
from ollama_policy.live.capacity.sums import Fit, Model, Settings
from ollama_policy.live.runners.runner import Engine, Runner
from ollama_policy.live.snapshot import OnDisk, ServerState
from ollama_policy.model.result import Reported
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import MIB

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
# Each is markup, a comment, a directive or the end of something, in one of the languages of a report.
HOSTILE = (
    "</title></style><script>alert(1)</script><img src='http://evil/x' onerror=\"x()\"> &amp; ]]> --> `| a | [x](http://e)"
    '\n@enduml\n!include /etc/passwd\n%getenv("HOME") $x \' [[http://evil]] <img:file:///etc/passwd> //i// end\n'
    '%%{init: {}}%% "]; click a href "http://evil" #quot;\n```\n# head\x00\x1b[2J\u202e\ud800\ufffe'
)


def probed(
    calls: int = 60,
    *,
    growth: int = 0,
    cached: int = 0,
    model: str = "chat:latest",
    unseen: str = "",
    stays: bool = False,
) -> Account:
    """Calls of which each adds `growth` MiB, and each with another prompt `cached` MiB, at one a tenth of a second.

    `stays`: the growth is in the server, not in its runner.
    """
    samples: list[Sample] = []
    different = calls // 2

    def sample(seconds: float, phase: str, call: int, moment: str, more: int = 0, *, is_loaded: bool = True) -> None:
        own = 40 + (growth * call if stays else 0)
        kept = 0 if phase == "reload" else cached * min(call, different) + (0 if stays else growth * call)
        runner = 30 + kept if is_loaded else 0
        server, held = (None, None) if unseen else (own * MIB, (runner + more) * MIB)
        size = 50 * MIB if is_loaded else 0
        pid = 7 if is_loaded and not unseen else None
        samples.append(Sample(seconds, phase, call, moment, server, held, size, 0, pid, 300 * call))

    sample(0.0, "before", 0, "settled", is_loaded=False)
    sample(0.5, "load", 0, "settled")
    for call in range(calls):
        start, phase = 1 + call / 10, DIFFERENT if call < different else REPEATED
        sample(start, phase, call, "before")
        sample(start + 0.04, phase, call + 1, "after", more=2)
        sample(start + 0.09, phase, call + 1, "settled")
    end = 1 + calls / 10
    for number, phase in enumerate(("idle", "expiry", "reload", "unload"), 1):
        sample(end + number, phase, calls, "settled", is_loaded=phase in ("idle", "reload"))
    runner = None if unseen else Runner(7, Engine.LLAMA_SERVER, "/models/blobs/sha256-" + "ab" * 32, 4096, 1, {})
    called = Called("0.34.3", runner)
    return account(model, "http://127.0.0.1:11434", called, Sight(unseen=unseen), samples)


def running(name: str, digest: str = "aa" * 32, *, is_pinned: bool = False, size: int = 50 * MIB) -> RunningModel:
    expires = NOW + (timedelta(days=200 * 365) if is_pinned else timedelta(minutes=5))
    return RunningModel(ModelName.parse(name), digest, expires, size, 0, 4096)


def seen(*models: RunningModel, version: str = "0.17.4", url: str = "http://127.0.0.1:11434") -> ServerState:
    """A server that has `chat`, with the digest of `running`, and holds these."""
    installed = {ModelName.parse("chat"): OnDisk("aa" * 32, 30 * MIB)}
    return ServerState(url, True, version, installed, Running(models, NOW))


def contents() -> Contents:
    """Calls that leak, and a server that holds a pinned model and an orphan of a long name."""
    long = "registry.example.com:5000/a-team/" + "long-name-" * 7
    server = seen(running("chat", is_pinned=True), running(long, "bb" * 32, is_pinned=True))
    drift = [Reported(one, one.rule.severity) for one in judge(server, (), (), is_complete=False)]
    return Contents(
        NOW, "0.1.0", probed(60, growth=1), server, drift=drift, fit=fitted(64 * MIB), bench=compared(12.0, 30.0)
    )


def fitted(memory: int | None, name: str = "chat:latest", place: str = "models.tf:1:1") -> Judged:
    """One that is pinned, one that does not fit beside it, and one that nobody knows."""
    models = [
        Model(name, place, "a", is_pinned=True, held_bytes=50 * MIB),
        Model("code:latest", "models.tf:7:1", "b", held_bytes=30 * MIB, keep_alive=5),
        Model("see:latest", "models.tf:12:1", problem="the memory of the architecture 'mllama' is not known"),
    ]
    found = Found(Settings(memory), 4096, "Ollama's default", 5, "the limit at compose.yaml:2:3", {}, [])
    return Judged("http://127.0.0.1:11434", "0.34.3", Fit(models, found.settings), found)


def compared(old_qps: float, new_qps: float, name: str = "cold: unloaded between calls") -> Comparison:
    """Two sides whose gain is that of these."""
    old, new = (
        Side(one, "http://127.0.0.1:11434", ModelName.parse("chat")) for one in (name, "pinned: memory_management")
    )
    figures = [Figures(qps, 1 / qps, 1.5 / qps, 2 / qps, 0.5 / qps, 0, 64, 50 * MIB) for qps in (old_qps, new_qps)]
    gain = new_qps / old_qps - 1
    return Comparison(old, new, figures[0], figures[1], Gain(gain, gain - 0.1, gain + 0.1), 1, 8)
