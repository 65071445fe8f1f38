"""A writer a format: a result in, text out. `Format` owns the choice."""

from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from ollama_policy.formats.writing import Look
    from ollama_policy.model.result import Result


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    GITLAB = "gitlab"
    MARKDOWN = "markdown"
    OPENMETRICS = "openmetrics"


def render(form: Format, result: "Result", look: "Look") -> str:
    """The whole report. Only the module of the format that is asked for is imported."""
    # ruff: noqa: PLC0415 - each writer for itself
    match form:
        case Format.TEXT:
            from ollama_policy.formats import text

            return text.render(result, look)
        case Format.JSON:
            from ollama_policy.formats import json_report

            return json_report.render(result)
        case Format.SARIF:
            from ollama_policy.formats import sarif

            return sarif.render(result)
        case Format.JUNIT:
            from ollama_policy.formats import junit

            return junit.render(result)
        case Format.GITHUB:
            from ollama_policy.formats import github

            return github.render(result)
        case Format.GITLAB:
            from ollama_policy.formats import gitlab

            return gitlab.render(result)
        case Format.MARKDOWN:
            from ollama_policy.formats import markdown

            return markdown.render(result)
        case Format.OPENMETRICS:
            from ollama_policy.formats import openmetrics

            return openmetrics.render(result)
        case _:
            assert_never(form)
