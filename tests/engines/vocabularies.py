"""Vocabularies of any size for models that a test makes: small pieces that spell every text, and words beyond them."""

from __future__ import annotations

from typing import NamedTuple

import gguf


class Vocabulary(NamedTuple):
    """`special` has the special tokens' numbers by GGUF's names, such as "bos"."""

    model: str
    tokens: list[str]
    types: list[gguf.TokenType]
    special: dict[str, int]
    pre: str | None = None
    merges: tuple[str, ...] = ()

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model(self.model)
        if self.pre:
            writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        if not self.merges:
            writer.add_token_scores([0.0] * len(self.tokens))
        writer.add_token_types(self.types)
        if self.merges:
            writer.add_token_merges(list(self.merges))
        for name, number in self.special.items():
            writer.add_uint32(special_key(name), number)

    def metadata(self) -> dict[str, str | int | list[str] | list[int] | list[float]]:
        found: dict[str, str | int | list[str] | list[int] | list[float]] = {
            "tokenizer.ggml.model": self.model,
            "tokenizer.ggml.tokens": self.tokens,
            "tokenizer.ggml.token_type": [int(one) for one in self.types],
        }
        if self.pre:
            found["tokenizer.ggml.pre"] = self.pre
        if self.merges:
            found["tokenizer.ggml.merges"] = list(self.merges)
        else:
            found["tokenizer.ggml.scores"] = [0.0] * len(self.tokens)
        return found | {special_key(name): number for name, number in self.special.items()}


def special_key(name: str) -> str:
    """GGUF's own spelling: of the separator without a t."""
    return f"tokenizer.ggml.{'seperator' if name == 'sep' else {'pad': 'padding'}.get(name, name)}_token_id"


def sentence_pieces(size: int) -> Vocabulary:
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += [f"word{number}" for number in range(size - len(words))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * (size - len(kinds))
    return Vocabulary("llama", words, kinds, {"unknown": 0, "bos": 1, "eos": 2})


def byte_pairs(size: int) -> Vocabulary:
    """GPT-2's bytes, then pairs of pairs; as many merges as there are tokens beyond those bytes, as in a real one."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    words = ["<s>", "</s>", *map(chr, printable), *(chr(256 + index) for index in range(len(others)))]
    letters = words[2:]
    pairs = [(first, second) for first in letters for second in letters]
    pairs += [(a, b + c) for a in letters[:60] for b in letters[:60] for c in letters[:60]]
    pairs = pairs[: size - len(words)]
    return Vocabulary(
        "gpt2",
        [*words, *("".join(pair) for pair in pairs)],
        [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (size - 2),
        {"bos": 0, "eos": 1},
        pre="qwen2",
        merges=tuple(" ".join(pair) for pair in pairs),
    )


def word_pieces(size: int) -> Vocabulary:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(33, 127)]
    words += [f"\u2581{letter}" for letter in letters] + letters
    words += [f"\u2581word{number}" for number in range(size - len(words))]
    kinds = [gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * (size - 5)
    special = {"unknown": 1, "bos": 2, "eos": 3, "sep": 3, "pad": 0, "mask": 4}
    return Vocabulary("bert", words, kinds, special)
