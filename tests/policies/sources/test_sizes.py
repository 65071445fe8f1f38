import pytest

from ollama_policy.sources.common.sizes import bytes_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512", 512),
        ("8g", 2**33),
        ("8G", 2**33),
        ("1.5GiB", 3 * 2**29),
        ("512 MB", 2**29),
        ("10b", 10),
        ("80%", None),
        ("infinity", None),
        ("", None),
        ("-1", None),
        ("9" * 50, None),
        ("८G", None),
    ],
)
def test_amounts_of_memory(text: str, expected: int | None) -> None:
    assert bytes_of(text) == expected
