"""Edits that fixes share."""

from ollama_policy.model.settings import Edit, Setting, Style, Subject, insert, quoted, rewrite

_QUOTES = ('"', "'")


def replace(setting: Setting, subject: Subject, value: str) -> Edit | None:
    """The edit that makes a setting's value a text, in quotes where it is none yet; None where it cannot be edited."""
    if not setting.is_literal:
        return None
    written = setting.written
    if written.startswith("''"):  # Nix's long texts
        return Edit(setting.file, setting.span, quoted(subject.style, value))
    data, span = setting.file.data, setting.span
    is_pair = data[span.start - 1 : span.start] == b"="  # a `- NAME=value` of a list
    is_within = is_pair and data[span.end : span.end + 1] in (b'"', b"'")  # `"NAME=value"`, in any format
    is_bare = subject.style is Style.BARE or (subject.style in (Style.YAML, Style.JSON) and is_pair) or is_within
    if written.startswith(_QUOTES) or is_bare:
        return rewrite(setting, value)
    return Edit(setting.file, setting.span, quoted(subject.style, value))


def put(subject: Subject, key: str, value: str) -> Edit | None:
    """The edit that gives a subject a setting, there already or not."""
    setting = subject.settings.get(key)
    return insert(subject, key, value) if setting is None else replace(setting, subject, value)
