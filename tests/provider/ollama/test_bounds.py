"""What an answer takes in memory: bounded before it is parsed, and wide enough for the largest that Ollama sends."""

import json
import tracemalloc

import pytest

from ollama_provider.ollama.http import bounds

_SHAPES = {
    "empty objects": "{},",
    "objects of one member": '{"a":1},',
    "both": '{},{"a":1},',
    "objects of one text": '{"k%d":"v%d"},',
    "objects of one list": '{"k%d":["v%d"]},',
    "lists": '["v%d"],',
    "lists in lists": '[["v%d"]],',
    "texts": '"v%d",',
}


def _many(piece: str, size: int) -> bytes:
    pieces = "".join(piece.replace("%d", str(i)) for i in range(size // len(piece)))
    return f'{{"models":[{pieces}0]}}'.encode()


@pytest.mark.slow
@pytest.mark.parametrize("piece", _SHAPES.values(), ids=_SHAPES)
def test_an_answer_takes_no_more_memory_than_the_bound_says(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_MEMORY", 2**23)
    content = _many(piece, 2**16)
    while True:
        tracemalloc.start()
        try:
            bounds.json_value(content)
            peak = tracemalloc.get_traced_memory()[1]
        except bounds.UnboundedError:
            break
        finally:
            tracemalloc.stop()
        assert peak <= bounds.MOST_MEMORY + 3 * len(content)
        content = _many(piece, len(content) * 5 // 4)


def test_a_large_vocabulary_is_within_the_bound() -> None:
    """As /api/show answers with `verbose`: a token in eight has a mark of JSON in it."""
    count = 300_000
    tokens = [f"{',:[{'[i // 8 % 4] if i % 8 == 0 else 'Ġ'}{i}" for i in range(count)]
    information = {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": [f"Ġ {i}" for i in range(count)],
        "tokenizer.ggml.token_type": [1] * count,
        "tokenizer.ggml.scores": [-1.5] * count,
    }
    content = json.dumps({"model_info": information}, ensure_ascii=False).encode()
    assert bounds.json_value(content)["model_info"]["tokenizer.ggml.tokens"] == tokens


def test_a_list_of_ten_thousand_models_is_within_the_bound() -> None:
    model = {
        "name": "registry.example:5000/team/model:latest",
        "model": "registry.example:5000/team/model:latest",
        "modified_at": "2026-01-02T03:04:05.678901234+01:00",
        "size": 4_000_000_000,
        "digest": "0" * 64,
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama", "clip"],
            "parameter_size": "8.0B",
            "quantization_level": "Q4_K_M",
        },
        "capabilities": ["completion", "tools", "vision"],
    }
    answer = {"models": [model] * 10_000}
    assert bounds.json_value(json.dumps(answer).encode()) == answer
