"""Which tensors llama.cpp wants of a model, and what it would allocate for one: asked of its own library.

`python -m tests.engines.llama_library FOLDER`, with the folder of libllama.so, reads questions as lines of JSON, and
answers each with one: {"tensors": {name: [elements by dimension]}} of {"metadata": path}, with nothing allocated,
{"buffers": {what: bytes}} of {"file": path, "load": {...}}, or {"error": why not}. Where llama.cpp aborts, the process
does: `Library` starts it again.

The layouts of the structures are those of include/llama.h and ggml/include/gguf.h at b10970, and libstdc++'s.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.engines.errors import EngineError

Tensors = dict[str, tuple[int, ...]]


class ContextLoad(NamedTuple):
    """`n_ctx` is that of all sequences together; `cache_type` a number of ggml's; `flash_attention` -1 is automatic."""

    n_ctx: int
    parallel: int
    batch: int
    outputs: int
    cache_type: int
    flash_attention: int
    embeds: bool


class Library:
    """Asks a process of its own. To be closed."""

    def __init__(self, libraries: Path) -> None:
        self.libraries = libraries
        self._process: subprocess.Popen[str] | None = None
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed with the process's end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def tensors(self, metadata: Path) -> Tensors:
        """Raises EngineError with what llama.cpp says where it refuses the metadata."""
        found = self._ask({"metadata": str(metadata)})["tensors"]
        return {name: tuple(dimensions) for name, dimensions in found.items()}

    def buffers(self, file: Path, load: ContextLoad) -> dict[str, int]:
        """Bytes of the "model", "context", "compute" and "output", over all buffers that it would make.

        Nothing is allocated; the output's are exact to 0.01 MiB. Raises EngineError.
        """
        found: dict[str, int] = self._ask({"file": str(file), "load": load._asdict()})["buffers"]
        return found

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            command = [sys.executable, "-m", "tests.engines.llama_library", str(self.libraries)]
            self._said.seek(0)
            self._said.truncate()
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.close()
            self._said.seek(0)
            said = self._said.read()
            reasons = [one for one in said.splitlines() if "GGML_ASSERT" in one or "Error" in one] or [said[-300:]]
            raise EngineError(f"llama.cpp aborts: {reasons[0]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer


class _ModelParams(ctypes.Structure):
    _fields_ = (
        ("devices", ctypes.c_void_p),
        ("tensor_buft_overrides", ctypes.c_void_p),
        ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int32),
        ("load_mode", ctypes.c_int32),
        ("lazy_mode", ctypes.c_int32),
        ("main_gpu", ctypes.c_int32),
        ("tensor_split", ctypes.c_void_p),
        ("progress_callback", ctypes.c_void_p),
        ("progress_callback_user_data", ctypes.c_void_p),
        ("kv_overrides", ctypes.c_void_p),
        ("vocab_only", ctypes.c_bool),
        ("check_tensors", ctypes.c_bool),
        ("use_extra_bufts", ctypes.c_bool),
        ("no_host", ctypes.c_bool),
        ("no_alloc", ctypes.c_bool),
        ("load_mtp", ctypes.c_bool),
    )


class _ContextParams(ctypes.Structure):
    _fields_ = (
        ("n_ctx", ctypes.c_uint32),
        ("n_batch", ctypes.c_uint32),
        ("n_ubatch", ctypes.c_uint32),
        ("n_seq_max", ctypes.c_uint32),
        ("n_rs_seq", ctypes.c_uint32),
        ("n_outputs_max", ctypes.c_uint32),
        ("n_outputs_max_per_seq", ctypes.c_uint32),
        ("n_threads", ctypes.c_int32),
        ("n_threads_batch", ctypes.c_int32),
        ("ctx_type", ctypes.c_int32),
        ("rope_scaling_type", ctypes.c_int32),
        ("pooling_type", ctypes.c_int32),
        ("attention_type", ctypes.c_int32),
        ("flash_attn_type", ctypes.c_int32),
        ("rope_and_yarn", ctypes.c_float * 6),
        ("yarn_orig_ctx", ctypes.c_uint32),
        ("defrag_thold", ctypes.c_float),
        ("cb_eval", ctypes.c_void_p),
        ("cb_eval_user_data", ctypes.c_void_p),
        ("type_k", ctypes.c_int32),
        ("type_v", ctypes.c_int32),
        ("abort_callback", ctypes.c_void_p),
        ("abort_callback_data", ctypes.c_void_p),
        ("embeddings", ctypes.c_bool),
        ("offload_kqv", ctypes.c_bool),
        ("no_perf", ctypes.c_bool),
        ("op_offload", ctypes.c_bool),
        ("swa_full", ctypes.c_bool),
        ("kv_unified", ctypes.c_bool),
        ("samplers", ctypes.c_void_p),
        ("n_samplers", ctypes.c_size_t),
        ("ctx_other", ctypes.c_void_p),
    )


class _GgufParams(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


class _Tensor(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4))


class _NamedTensor(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("short_name", ctypes.c_char * 16),
        ("tensor", ctypes.POINTER(_Tensor)),
    )


class _MapNode(ctypes.Structure):
    """Of std::map: a buffer type, and the bytes of the model, the context and the computing that are in it."""


_MapNode._fields_ = (
    ("colour", ctypes.c_int),
    ("parent", ctypes.POINTER(_MapNode)),
    ("left", ctypes.POINTER(_MapNode)),
    ("right", ctypes.POINTER(_MapNode)),
    ("buffer_type", ctypes.c_void_p),
    ("model", ctypes.c_size_t),
    ("context", ctypes.c_size_t),
    ("compute", ctypes.c_size_t),
)


class _Map(ctypes.Structure):
    _fields_ = (
        ("less", ctypes.c_size_t),
        ("colour", ctypes.c_int),
        ("root", ctypes.POINTER(_MapNode)),
        ("first", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
    )


class _Vector(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("capacity", ctypes.c_void_p))


_Log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_SetData = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class _Loaded:
    def __init__(self, folder: Path) -> None:
        self._said: list[str] = []
        ctypes.CDLL(str(folder / "libggml-base.so"), ctypes.RTLD_GLOBAL)
        backends = ctypes.CDLL(str(folder / "libggml.so"), ctypes.RTLD_GLOBAL)
        self._llama = ctypes.CDLL(str(folder / "libllama.so"), ctypes.RTLD_GLOBAL)
        self._gguf = ctypes.CDLL(str(folder / "libggml-base.so"))
        self._log = _Log(lambda _level, text, _data: self._said.append(text.decode(errors="replace")))
        self._nothing = _SetData(lambda _tensor, _data: None)
        self._llama.llama_log_set(self._log, None)
        backends.ggml_backend_load_all_from_path(str(folder).encode())
        self._gguf.gguf_init_from_file.restype = ctypes.c_void_p
        self._gguf.gguf_init_from_file.argtypes = (ctypes.c_char_p, _GgufParams)
        self._gguf.gguf_free.argtypes = (ctypes.c_void_p,)
        self._llama.llama_model_default_params.restype = _ModelParams
        self._llama.llama_model_init_from_user.restype = ctypes.c_void_p
        self._llama.llama_model_init_from_user.argtypes = (ctypes.c_void_p, _SetData, ctypes.c_void_p, _ModelParams)
        self._llama.llama_model_free.argtypes = (ctypes.c_void_p,)
        self._llama.llama_free.argtypes = (ctypes.c_void_p,)
        self._llama.llama_model_load_from_file.restype = ctypes.c_void_p
        self._llama.llama_model_load_from_file.argtypes = (ctypes.c_char_p, _ModelParams)
        self._llama.llama_context_default_params.restype = _ContextParams
        self._llama.llama_init_from_model.restype = ctypes.c_void_p
        self._llama.llama_init_from_model.argtypes = (ctypes.c_void_p, _ContextParams)
        self._breakdown = self._llama._Z26llama_get_memory_breakdownPK13llama_context
        self._breakdown.restype = _Map
        self._breakdown.argtypes = (ctypes.c_void_p,)
        self._tensors = self._llama._Z29llama_internal_get_tensor_mapB5cxx11PK11llama_model
        self._tensors.restype = ctypes.POINTER(_Vector)
        self._tensors.argtypes = (ctypes.c_void_p,)

    def tensors(self, path: str) -> dict[str, object]:
        self._said.clear()
        metadata = self._gguf.gguf_init_from_file(path.encode(), _GgufParams(no_alloc=True, ctx=None))
        if not metadata:
            return {"error": f"{path}: not a GGUF"}
        parameters = self._llama.llama_model_default_params()
        parameters.no_alloc = True
        model = self._llama.llama_model_init_from_user(metadata, self._nothing, None, parameters)
        if not model:
            self._gguf.gguf_free(metadata)
            return self._refusal()
        vector = self._tensors(model).contents
        count = ((vector.end or 0) - (vector.begin or 0)) // ctypes.sizeof(_NamedTensor)
        named = (_NamedTensor * count).from_address(vector.begin or 0) if count else ()
        found = {one.name.decode(): _without_ones(list(one.tensor.contents.ne)) for one in named}
        self._llama.llama_model_free(model)
        self._gguf.gguf_free(metadata)
        return {"tensors": found}

    def buffers(self, path: str, load: ContextLoad) -> dict[str, object]:
        """As common/fit.cpp does it, with llama-server's number of outputs and --embedding."""
        self._said.clear()
        parameters = self._llama.llama_model_default_params()
        parameters.no_alloc, parameters.load_mtp, parameters.load_mode = True, False, 0
        model = self._llama.llama_model_load_from_file(path.encode(), parameters)
        if not model:
            return self._refusal()
        its = self._llama.llama_context_default_params()
        its.n_ctx, its.n_seq_max, its.n_outputs_max = load.n_ctx, load.parallel, load.outputs
        its.n_batch = its.n_ubatch = load.batch
        its.type_k = its.type_v = load.cache_type
        its.flash_attn_type, its.embeddings, its.swa_full = load.flash_attention, load.embeds, False
        context = self._llama.llama_init_from_model(model, its)
        if not context:
            self._llama.llama_model_free(model)
            return self._refusal()
        found = {"model": 0, "context": 0, "compute": 0}
        for node in _nodes(self._breakdown(context).root):
            for part in found:
                found[part] += getattr(node, part)
        output = re.findall(r"output buffer size = +([\d.]+) MiB", "".join(self._said))
        found["output"] = round(float(output[0]) * 2**20) if output else 0
        self._llama.llama_free(context)
        self._llama.llama_model_free(model)
        return {"buffers": found}

    def _refusal(self) -> dict[str, object]:
        errors = [line.strip() for line in self._said if "error" in line or "does not" in line or "requires" in line]
        return {"error": (errors or [line.strip() for line in self._said[-2:]] or ["refused without a word"])[0]}


def _nodes(node: ctypes._Pointer[_MapNode]) -> Iterator[_MapNode]:
    if node:
        yield node.contents
        yield from _nodes(node.contents.left)
        yield from _nodes(node.contents.right)


def _without_ones(dimensions: list[int]) -> list[int]:
    while len(dimensions) > 1 and dimensions[-1] == 1:
        dimensions.pop()
    return dimensions


def main() -> int:
    # llama.cpp prints on its own: answers keep the stream that was stdout, and all else goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    library = _Loaded(Path(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line)
        if "file" in asked:
            answer = library.buffers(asked["file"], ContextLoad(**asked["load"]))
        else:
            answer = library.tensors(asked["metadata"])
        print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
