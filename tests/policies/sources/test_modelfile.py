from ollama_policy.model.settings import ENDPOINT, Kind
from ollama_policy.sources.modelfile import Modelfile
from tests.policies.sources.reading import at, facts, inserted, only, read, refused_at

_TEXT = '''# note
FROM llama3:8b
PARAMETER num_ctx 4096
parameter temperature 0.5
SYSTEM """
PARAMETER num_ctx 1
"""
PARAMETER stop "<|end|>"
TEMPLATE """{{ .Prompt }}"""
PARAMETER num_ctx 8192
PARAMETER use_mmap true
'''


def test_parameters_are_options() -> None:
    for newline in ("\n", "\r\n"):
        text = _TEXT.replace("\n", newline)
        subject = only(read(Modelfile(), "Modelfile", text))
        assert facts(subject) == {
            ENDPOINT: ("Modelfile", "FROM"),
            "model": ("llama3:8b", "llama3:8b"),
            "options.num_ctx": (8192, "8192"),
            "options.temperature": (0.5, "0.5"),
            "options.stop": ("<|end|>", '"<|end|>"'),
            "options.use_mmap": (True, "true"),
        }
        assert (subject.kind, at(subject)) == (Kind.REQUEST, "FROM")
        assert [setting.value for setting in subject.repeated] == [4096]
        more = f"llama3:8b{newline}PARAMETER num_gpu 1{newline}PARAMETER num_ctx 4096"
        assert more in inserted(subject, "num_gpu")


def test_names_and_content_tell_it() -> None:
    for path in ("modelfile", "Modelfile.chat", "chat.modelfile", "x/chat-Modelfile"):
        assert read(Modelfile(), path, "FROM x")
    assert read(Modelfile(), "Modelfile", "nothing") == []
    assert read(Modelfile(), "README.md", "FROM x") == []
    assert read(Modelfile(), "modelfile.mdx", "FROM x") == []
    assert refused_at(Modelfile(), "Modelfile", b"FROM \xff") == 5
