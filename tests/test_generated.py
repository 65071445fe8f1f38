"""What is generated says what model.py says."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ollama_provider.model import problems_of
from ollama_provider.reference import page
from ollama_provider.schemas import files, plain_schema, resource_schema
from ollama_provider.terraform.documentation import FOLDERS, pages
from ollama_provider.terraform.provider import OllamaProvider

ROOT = Path(__file__).parent.parent
SCHEMAS = ROOT / "schemas"


def test_the_committed_schemas_are_those_that_model_py_gives() -> None:
    committed = {file.name: file.read_text(encoding="utf-8") for file in SCHEMAS.glob("ollama_model*.json")}
    assert committed == files(), "run: make generated"


def test_the_committed_reference_is_the_one_that_model_py_gives() -> None:
    assert (ROOT / "docs" / "ollama_model.md").read_text(encoding="utf-8") == page(), "run: make generated"


def test_the_committed_pages_for_terraform_are_those_that_the_provider_gives() -> None:
    docs = ROOT / "docs"
    found = [docs / "index.md", *(page for folder in FOLDERS for page in (docs / folder).glob("*.md"))]
    committed = {page.relative_to(docs).as_posix(): page.read_text(encoding="utf-8") for page in found}
    assert committed == pages(OllamaProvider(), ROOT / "examples" / "terraform"), "run: make generated"


def test_every_link_of_the_pages_for_terraform_leads_somewhere() -> None:
    found = [ROOT / "docs" / "index.md", *(ROOT / "docs").glob("[rdfg]*s/*.md")]
    assert len(found) > 10
    links = [(page, link) for page in found for link in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text("utf-8"))]
    assert links
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "declaration",
    [
        {"name": "llama3"},
        {"name": "llama3", "memory_management": "manual", "resident": False},
        {"name": "llama3", "memory_management": "automatic", "keep_alive": "1h30m"},
        {"name": "v", "base": "llama3", "parameters": {"num_ctx": 4096, "stop": ["a"]}, "timeouts": {"load": "5m"}},
        {},
        {"name": "a b"},
        {"name": "llama3", "memory_management": "auto"},
        {"name": "llama3", "keep_alive": "5m", "memory_management": "manual"},
        {"name": "llama3", "resident": True},
        {"name": "llama3", "keep_alive": "300"},
        {"name": "llama3", "keep_alive": "1d"},
        {"name": "llama3", "parameters": {}},
        {"name": "llama3", "base": "b", "gguf": "a.gguf"},
        {"name": "llama3", "digest": "abc"},
        {"name": "llama3", "memorymanagement": "manual"},
        {"name": "llama3", "timeouts": {"pul": "5m"}},
    ],
    ids=str,
)
def test_the_schema_and_the_model_accept_and_refuse_the_same(declaration: dict[str, Any]) -> None:
    validator = Draft202012Validator(resource_schema())
    assert validator.is_valid(declaration) == (problems_of(declaration) == [])


@pytest.mark.parametrize(
    ("document", "is_valid"),
    [
        ({"memory_management": "automatic"}, True),
        ({"name": "llama3", "memory_management": "manual"}, True),
        ([{"name": "llama3"}], True),
        ({"llama3": {"memory_management": "manual"}}, True),
        ({"models": [{"name": "llama3"}]}, True),
        ({"models": {"llama3": {}}}, True),
        ({"memory_management": "auto"}, False),
        ([{"memory_management": "manual"}], False),
        ({"llama3": {"memory_managment": "manual"}}, False),
        ({"models": [], "other": 1}, False),
        ("manual", False),
    ],
    ids=str,
)
def test_the_plain_form_is_one_model_a_list_or_a_map(document: Any, is_valid: bool) -> None:
    Draft202012Validator.check_schema(plain_schema())
    assert Draft202012Validator(plain_schema()).is_valid(document) == is_valid
