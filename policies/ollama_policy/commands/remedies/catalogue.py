"""The catalogue of remedies, in words: `remedies` makes them concrete for one server, and `report` tells them."""

from typing import Final, NamedTuple

from ollama_policy.commands.remedies.remedy import Kind


class Entry(NamedTuple):
    """One way out. `kinds` are those of the remedies that are it, made concrete; `rules` what calls for it."""

    kinds: frozenset[Kind]
    title: str
    what: str
    rules: frozenset[str]


RECLAIM: Final = Entry(
    frozenset((Kind.ORPHAN,)),
    "Free what no name reaches",
    "ollama-policy reclaim gives the weights of an orphan a name again and unloads it, without a restart.",
    frozenset(("OLL507",)),
)
VERSION: Final = Entry(
    frozenset((Kind.VERSION,)),
    "Update Ollama",
    "No setting helps against a leak that a later release fixes. If no release is known to fix it, report it with "
    "these figures. "
    "A newer one has defaults of its own: from 0.30 on each runner has a prompt cache of up to 8 GiB.",
    frozenset(("OLL301", "OLL302", "OLL509")),
)
KEEP_ALIVE: Final = Entry(
    frozenset(
        (
            Kind.KEEP_ALIVE,
            Kind.UNDECLARED,
        )
    ),
    "Bound keep_alive",
    "A runner gives back all its memory when its timer ends. Declare a keep_alive, set OLLAMA_KEEP_ALIVE to a "
    "duration that Ollama reads, and remove pins from clients: a client's own keep_alive overrides it.",
    frozenset(("OLL001", "OLL003", "OLL005", "OLL101", "OLL109", "OLL401", "OLL402", "OLL506", "OLL508", "OLL513")),
)
CACHE: Final = Entry(
    frozenset((Kind.PROMPT_CACHE,)),
    "Cap the prompt cache",
    "From Ollama 0.30 on LLAMA_ARG_CACHE_RAM, in MiB, bounds the cache of each runner that grows with prompts; it is "
    "not in /api/ps. 0 turns it off: repeated prompts are then processed again. MLX's runners do not read it.",
    frozenset(("OLL202",)),
)
RELOAD: Final = Entry(
    frozenset((Kind.RELOAD,)),
    "Reload a runner that has grown",
    "ollama-policy reclaim --reload NAME unloads a model and loads it again, pinned if it was: this frees what its "
    "runner has grown by, and costs one load. It grows again until its cache is bounded.",
    frozenset(),
)
CONTEXT: Final = Entry(
    frozenset(
        (
            Kind.CONTEXT,
            Kind.PARALLEL,
            Kind.KV_CACHE,
        )
    ),
    "Lower context and parallelism",
    "The KV cache is num_ctx times OLLAMA_NUM_PARALLEL. Declare num_ctx in the model's parameters, the same for all "
    "clients: one that differs reloads the model.",
    frozenset(("OLL106", "OLL107", "OLL201", "OLL203", "OLL204", "OLL205", "OLL403", "OLL511")),
)
MANUAL: Final = Entry(
    frozenset(
        (
            Kind.MANUAL,
            Kind.ABSENT,
        )
    ),
    'Switch to memory_management = "manual"',
    "Then the declaration decides what is in memory, and an apply corrects drift. It pins models, and a pin alone "
    "releases nothing: declare resident = false for models that should not be in memory.",
    frozenset(("OLL001", "OLL004", "OLL506", "OLL508", "OLL513")),
)
RESTART: Final = Entry(
    frozenset((Kind.RESTART,)),
    "Restart the server from time to time",
    "What grew is still there after the runner ended: it is in the server's own process, which no timer, no pin and no "
    "unload ends. Only a restart gives it back, until a release fixes it.",
    frozenset(),
)
# The surest first; the story's own recommendation comes where it helps.
CATALOGUE: Final = (RECLAIM, VERSION, RESTART, KEEP_ALIVE, CACHE, RELOAD, CONTEXT, MANUAL)
