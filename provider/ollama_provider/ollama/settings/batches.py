"""How many tokens llama-server takes at once where nobody says (server/sched.go:864; versions: AUTOMATIC_BATCH)."""

from typing import Final

_DEFAULT: Final = 512
_LARGER: Final = ((32768, 2048), (4096, 1024))  # past so many tokens of context, so many at once
AUTOMATIC_BATCHES: Final = (_DEFAULT, *(batch for _, batch in _LARGER))


def automatic_batch(context: float) -> int:
    """Tokens at once, for a context of so many tokens of all requests together, where the memory allows it."""
    return next((batch for past, batch in _LARGER if context > past), _DEFAULT)
