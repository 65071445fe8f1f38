"""The parts that an estimate has under each engine, and what they add up to."""

from typing import NamedTuple


class UnknownArchitectureError(ValueError):
    """A model whose memory is not known; the text names its architecture."""


class RefusedLoadError(ValueError):
    """A load that this version of Ollama fails; the text says of what."""


class Estimate(NamedTuple):
    """Bytes of a runner's process by part. A part that an engine does not have is 0."""

    weights: int
    """The tensors; Ollama's own engine loads tied embeddings twice, once as the output."""
    kv_cache: int
    recurrent: int
    """States of recurrent layers, whatever the context; of Ollama's own engine with their checkpoints."""
    compute: int
    """The compute buffer, and the CPU's own work space."""
    output: int
    """llama-server's buffer of logits and embeddings."""
    checkpoints: int
    """What llama-server keeps of states of recurrent layers and of windows while prompts are read, at most."""
    masks: int
    """Attention masks that Ollama's own engine leaves to Go's collector at the load."""
    long_prompts: int
    """More masks, at most: how many of them prompts leave behind depends on Go's collector and on the threads."""
    vocabulary: int
    process: int
    """The process itself, with the smallest model."""
    prompt_cache: int
    """What the runner may grow by on top of `total`, prompt by prompt; 0 before 0.30."""
    predicted_by_ollama: int
    """What Ollama takes the model for before a load, and decides by whether others go."""
    listed_by_ollama: int
    """`size` in /api/ps."""
    later: int
    """Of these parts, what is not held before prompts come; `prompt_cache` aside."""

    @property
    def at_load(self) -> int:
        """What is resident when the model was loaded and nothing was asked.

        Of llama-server an upper bound: it reserves its buffers then, and touches some of their pages later.
        """
        return self.total - self.later

    @property
    def total(self) -> int:
        """The most that the process comes to hold when its contexts are full, without `prompt_cache`.

        Where there are `long_prompts`, an upper bound: one long prompt may leave less than half of it, many in a row
        come near to it. The process then holds between `total - long_prompts` and `total`.
        """
        held = self.weights + self.kv_cache + self.recurrent + self.compute + self.output + self.checkpoints
        return held + self.masks + self.long_prompts + self.vocabulary + self.process

    @property
    def most(self) -> int:
        """What the process may grow to, with a full prompt cache."""
        return self.total + self.prompt_cache
