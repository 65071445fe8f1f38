"""What a server or a file says is data: no character of it is markup, in any of the languages that a report is in."""

import re
from html import escape

from ollama_policy.text.escaping import shown

_NO_XML = re.compile("[\ufffe\uffff]")
_PLAIN = " .,:+-_/()="  # beside letters and digits; none of them means anything inside a label


def visible(text: str) -> str:
    """The text on one line, of characters that XML 1.0 has."""
    return _NO_XML.sub(lambda found: f"\\u{ord(found.group()):04x}", shown(text))


def xml(text: str) -> str:
    """For HTML and SVG: the inside of an element, or of an attribute in quotes."""
    return escape(visible(text))


def mermaid(text: str) -> str:
    """For a label, or a message, in Mermaid, whose `#` begins the code of a character and whose `;` ends a line."""
    return "".join(one if _is_plain(one) else f"#{ord(one)};" for one in visible(text))


def _is_plain(character: str) -> bool:
    return character.isalnum() or character in _PLAIN


def shortened(text: str, longest: int) -> str:
    """The text, with its middle left out where it is longer: both ends of a name say something."""
    text = visible(text)
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"
