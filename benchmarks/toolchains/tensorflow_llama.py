"""A llama in TensorFlow, compiled to a graph by tf.function, on one thread."""

from typing import Any

import tensorflow as tf

from benchmarks.toolchains.weights import PARTS, Floats, Weights, causal, rotation

VERSION = str(tf.__version__)
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


class Llama:
    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.tensors = {name: tf.Variable(array, trainable=False) for name, array in weights.tensors()}
        cache = tf.TensorSpec([None, weights.kv_heads, weights.head_width], tf.float32)
        angles = tf.TensorSpec([None, 1, weights.head_width // 2], tf.float32)
        mask, tokens = tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.int32)
        # One graph for every length: without the signature each length of the cache would be traced anew.
        signature = (tokens, angles, angles, mask, [(cache, cache)] * weights.layers)
        self.graph = tf.function(self.step, input_signature=signature)
        empty = tf.zeros([0, weights.kv_heads, weights.head_width])
        self.start = [(empty, empty)] * weights.layers

    def forward(self, tokens: list[int], first: int, past: Any) -> tuple[Floats, Any]:
        """As numpy_llama's."""
        cosines, sines = rotation(first, len(tokens), self.weights.head_width)
        mask = causal(first, len(tokens))
        logits, now = self.graph(tf.constant(tokens), cosines, sines, mask, past or self.start)
        return logits.numpy(), now

    def step(self, tokens: Any, cosines: Any, sines: Any, mask: Any, past: Any) -> Any:
        count, w, tensors, now = tf.size(tokens), self.weights, self.tensors, []
        x = tf.gather(tensors["token_embd.weight"], tokens)
        for layer in range(w.layers):
            of = {part: tensors[f"blk.{layer}.{part}.weight"] for part in PARTS}
            normed = self.norm(of["attn_norm"], x)
            q, k, v = (tf.reshape(linear(normed, of[f"attn_{part}"]), [count, -1, w.head_width]) for part in "qkv")
            q, k = rotated(q, cosines, sines), rotated(k, cosines, sines)
            k, v = tf.concat((past[layer][0], k), 0), tf.concat((past[layer][1], v), 0)
            now.append((k, v))
            q = tf.reshape(q, [count, w.kv_heads, -1, w.head_width])  # heads that share a key stand together
            scores = tf.einsum("nkgd,mkd->kgnm", q, k) * w.head_width**-0.5 + mask
            seen = tf.reshape(tf.einsum("kgnm,mkd->nkgd", tf.nn.softmax(scores), v), [count, w.width])
            x = x + linear(seen, of["attn_output"])
            normed = self.norm(of["ffn_norm"], x)
            inner = tf.nn.silu(linear(normed, of["ffn_gate"])) * linear(normed, of["ffn_up"])
            x = x + linear(inner, of["ffn_down"])
        logits = linear(self.norm(tensors["output_norm.weight"], x[-1:]), tensors["output.weight"])
        return logits[0], now

    def norm(self, weight: Any, x: Any) -> Any:
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + self.weights.epsilon)
        return x * scale * weight


def linear(x: Any, weight: Any) -> Any:
    return tf.matmul(x, weight, transpose_b=True)


def rotated(x: Any, cosines: Any, sines: Any) -> Any:
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = tf.stack((even * cosines - odd * sines, even * sines + odd * cosines), -1)
    return tf.reshape(turned, tf.shape(x))


def release() -> None:
    """TensorFlow's own way to forget what it keeps of models and graphs."""
    tf.keras.backend.clear_session()
