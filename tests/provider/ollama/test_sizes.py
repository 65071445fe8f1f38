import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_provider.ollama.sizes import MIB, Convention, bytes_of, text_of

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512", 512),
        ("8g", 8 * GIB),
        ("8G", 8 * GIB),
        ("64G", 64 * GIB),
        ("64GB", 64 * GIB),
        ("64GiB", 64 * GIB),
        ("1.5GiB", 3 * 2**29),
        ("512 MB", 512 * MIB),
        ("9007199254740993", 9007199254740993),
        ("1Ki", 1024),
        ("10b", 10),
        ("80%", None),
        ("infinity", None),
        ("", None),
        ("-1", None),
        ("9" * 50, None),
        ("८G", None),
    ],
)
def test_a_binary_amount(text: str, expected: int | None) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64G", 64 * 10**9),
        ("64Gi", 64 * GIB),
        ("+1k", 1000),
        ("129e6", 129 * 10**6),
        ("500m", 1),  # of a byte, rounded up
        ("1.5Gi", 3 * 2**29),
        ("64GB", None),
        ("64g", None),
        ("-1", None),
    ],
)
def test_a_quantity_of_kubernetes(text: str, expected: int | None) -> None:
    assert bytes_of(text, Convention.KUBERNETES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8G", 8 * GIB),
        ("1.5G", 3 * 2**29),
        ("1G 512M", 3 * 2**29),
        ("512", 512),
        ("512B", 512),
        ("8g", None),
        ("8GB", None),
        ("8Gi", None),
        ("512M 1G", None),
        ("80%", None),
        ("infinity", None),
        ("", None),
    ],
)
def test_an_amount_of_systemd(text: str, expected: int | None) -> None:
    assert bytes_of(text, Convention.SYSTEMD) == expected


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (512 * MIB, "512 MiB"), (8 * GIB, "8 GiB"), (2**51, "2048 TiB")],
)
def test_an_amount_for_people(count: int, text: str) -> None:
    assert text_of(count) == text


@given(st.integers(0, 2**60))
def test_what_is_written_can_be_read(count: int) -> None:
    read = bytes_of(text_of(count))
    assert read is not None
    assert abs(read - count) <= count * 0.05
