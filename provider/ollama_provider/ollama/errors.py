"""What can go wrong with a server, told apart by what a caller can do about it."""


class OllamaError(Exception):
    """A request that did not do what was asked. The text says what was asked of which server, and its own words."""

    def __init__(self, asked: str, server: str, words: str) -> None:
        # A server's words are data: nothing in them may act on a terminal.
        words = _one_line(words)
        words = "".join(character if character.isprintable() else repr(character)[1:-1] for character in words)
        super().__init__(f"{asked} at {server}: {words}")
        self.asked = asked
        self.server = server
        self.words = words


def _one_line(words: str) -> str:
    """Lines as one, each said once: llama-server's last words come at the end of Ollama's own line, and again below."""
    said: dict[str, None] = {}
    before = ""
    for line in words.splitlines():
        text = line.strip()
        if text and text not in said and not before.endswith(text):
            said[text] = None
            before = text
    return "; ".join(said)


class NotFoundError(OllamaError):
    """The server is there and has no such model (HTTP 404)."""


class RefusedError(OllamaError):
    """The server understood and said no: asking again brings the same answer."""


class CrashedError(RefusedError):
    """HTTP 500 without a reason: the server's own handler broke off.

    /api/ps does so where a runner goes in that very moment: it reads a model that the scheduler has just taken away
    (server/routes.go: PsHandler, server/sched.go: runnerRef.unload; seen on 0.17.4).
    """


class UnreachableError(OllamaError):
    """No connection, or no answer within the deadline."""


class LateError(UnreachableError):
    """The server answers, and what was asked of it was not done in the time that a declaration gives it."""


class NotOllamaError(OllamaError):
    """Something answered, and it is not Ollama or none that this package can use."""


class TransientError(OllamaError):
    """The work broke off in a way that asking again can fix: a stream that was cut, a full queue, a stall."""
