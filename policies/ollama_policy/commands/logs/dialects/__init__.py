"""What the messages of Ollama's log mean, by who writes them: a table each, from a message to what it tells.

The scheduler and the server write the same for every engine (`scheduler`); the engines have messages of their own.
"""

from ollama_policy.commands.logs.dialects import llama_server, mlx, ollama_runner, scheduler
from ollama_policy.commands.logs.events.calls import Calls
from ollama_policy.commands.logs.events.leaving import Leaving
from ollama_policy.commands.logs.events.loads import Loads
from ollama_policy.commands.logs.state import Handlers, State


def handlers(state: State, loads: Loads, leaving: Leaving, calls: Calls) -> Handlers:
    """All dialects at once: no message of one means something else in another."""
    return {
        **scheduler.handlers(state, loads, leaving, calls),
        **ollama_runner.handlers(state, loads, leaving, calls),
        **llama_server.handlers(state, loads, leaving, calls),
        **mlx.handlers(state, loads, leaving, calls),
    }
