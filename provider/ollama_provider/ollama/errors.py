"""What can go wrong with a server, told apart by what a caller can do about it."""


class OllamaError(Exception):
    """A request that did not do what was asked. The text says what was asked of which server, and its own words."""

    def __init__(self, asked: str, server: str, words: str) -> None:
        # A server's words are data: nothing in them may act on a terminal.
        words = "".join(character if character.isprintable() else repr(character)[1:-1] for character in words)
        super().__init__(f"{asked} at {server}: {words}")
        self.asked = asked
        self.server = server
        self.words = words


class NotFoundError(OllamaError):
    """The server is there and has no such model (HTTP 404)."""


class RefusedError(OllamaError):
    """The server understood and said no: asking again brings the same answer."""


class CrashedError(RefusedError):
    """HTTP 500 without a word: the server's own handler broke off.

    /api/ps does so where a runner goes in that very moment: it reads a model that the scheduler has just taken away
    (server/routes.go: PsHandler, server/sched.go: runnerRef.unload; seen on 0.17.4).
    """


class UnreachableError(OllamaError):
    """No connection, or no answer within the deadline."""


class NotOllamaError(OllamaError):
    """Something answered, and it is no Ollama or none that this package can use."""


class TransientError(OllamaError):
    """The work broke off in a way that asking again can mend: a stream that was cut, a full queue, a stall."""
