"""Which declaration is for which server: by its own host, by its provider's, or by what a person named."""

from collections.abc import Iterable, Sequence

from ollama_policy.live.declared import Declared
from ollama_policy.model.result import Undecided
from ollama_policy.model.settings import Unknown


class ServerAssignment:
    """Declarations by the URL of their server.

    One without a host is for every server that a person named. One whose host cannot be known is for the only server
    that was named, where all such hosts are written alike; else it is undecided, and for none.
    """

    def __init__(self, models: Iterable[Declared], given: Sequence[str]) -> None:
        models = list(models)
        self.undecided: list[Undecided] = []
        self.lost: list[Declared] = []  # that may be for any server
        self.by_url: dict[str, list[Declared]] = {url: [] for url in given}
        unknown = [one for one in models if isinstance(one.host, Unknown)]
        are_alike = len({_written(one) for one in unknown}) == 1
        for one in models:
            if isinstance(one.host, str):
                self.by_url.setdefault(one.host, []).append(one)
            elif (one.host is None and given) or (isinstance(one.host, Unknown) and are_alike and len(given) == 1):
                for url in given:
                    self.by_url[url].append(one)
            else:
                self.lost.append(one)
                self.undecided.append(_undecided(one))


def _written(declared: Declared) -> str:
    setting = declared.subject.settings.get("host")
    return "" if setting is None else setting.written


def _undecided(declared: Declared) -> Undecided:
    why = declared.host.reason if isinstance(declared.host, Unknown) else "nobody says it"
    setting = declared.subject.settings.get("host")
    file, span = (declared.subject.file, declared.subject.span) if setting is None else (setting.file, setting.span)
    return Undecided("host", declared.subject.address, file, span, f"which server it is for: {why}")
