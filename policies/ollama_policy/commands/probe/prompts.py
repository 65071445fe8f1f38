"""What is asked: prompts that no cache has, one prompt that it has, and a conversation that goes on and on."""

from random import Random

_PROMPT_CHARACTERS = 300
_TURN_CHARACTERS = 150
_WORDS = (
    "amber anchor autumn basket beacon bridge candle canyon cedar cobalt copper coral cotton desert ember engine "
    "falcon feather forest garden glacier granite harbor hollow island jasmine lantern lemon marble meadow mirror "
    "mountain nectar ocean orchard paper pebble pepper prairie quartz ribbon river saddle shadow silver spiral "
    "summer thunder timber tunnel valley velvet violet walnut willow window winter"
).split()


def prompt_of(run: str, number: int, end: str) -> str:
    """About 300 characters that no other number and no other run has, and then `end`."""
    return f"{_words(f'{run}-{number}:', _PROMPT_CHARACTERS)}. {end}"


def conversation(run: str, turns: int) -> list[str]:
    """The prompts of so many turns. Each but the first begins with all of the one before it.

    The first is as long as the last and begins otherwise: it uses the memory of the context, so that the turns after
    it add only what is kept beside that.
    """
    long = _words(f"{run}-long:", _TURN_CHARACTERS * (turns - 1))
    asked, text = [long], ""
    for turn in range(1, turns):
        text += _words(f"{run}-turn-{turn}:", _TURN_CHARACTERS) + ". "
        asked.append(text)
    return asked


def _words(start: str, characters: int) -> str:
    draw = Random(start)  # noqa: S311 - no secret
    words = [start]
    while sum(map(len, words)) + len(words) < characters:
        words.append(draw.choice(_WORDS))
    return " ".join(words)
