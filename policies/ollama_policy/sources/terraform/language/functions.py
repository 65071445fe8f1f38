"""The pure functions of Terraform's language that are worked out here; any other call is Unknown.

A function gets known values (nested ones may be Unknown where it looks only at the outside) and returns a value,
or raises ValueError, TypeError, IndexError, KeyError: Terraform refuses such a call too.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.values import MAX_ITEMS, MAX_TEXT, SetOf


def _text(value: Any) -> str:
    text = values.to_text(value)
    if not isinstance(text, str):
        raise TypeError("a text is needed")
    return text


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list is needed")
    return value


def _whole(value: Any) -> int:
    number = values.to_number(value)
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError("a whole number is needed")
    return number


def _element(items: Any, index: Any) -> Any:
    at = _whole(index)
    if at < 0:
        raise NotImplementedError  # refused by older versions only
    return _list(items)[at % len(items)] if items else _list(items)[0]


def _lookup(mapping: Any, key: Any, *default: Any) -> Any:
    if not isinstance(mapping, dict):
        raise TypeError
    key = _text(key)
    if key in mapping:
        return mapping[key]
    if not default:
        raise KeyError(key)
    if not all(values.alike(default[0], value) for value in mapping.values()):
        return Unknown("lookup() with values of several types")
    return default[0]


def _merge(*maps: Any) -> Any:
    merged: dict[str, Any] = {}
    for mapping in maps:
        if mapping is not None:
            merged |= mapping
    return merged


def _concat(*lists: Any) -> list[Any]:
    items = [item for each in lists for item in _list(each)]
    if any(isinstance(each, SetOf) for each in lists):
        raise TypeError
    kinds = {values.kind_of(item) for item in items if not isinstance(item, Unknown)}
    if len(kinds) > 1 or (kinds - {"text"} and not all(lists)):
        raise NotImplementedError  # a list of texts, be it empty, makes texts of the others; a tuple does not
    return items


def _contains(items: Any, wanted: Any) -> Any:
    answers = [values.same(item, wanted) for item in _list(items)]
    if True in answers:
        return True
    return next((answer for answer in answers if isinstance(answer, Unknown)), False)


def _split(separator: Any, text: Any) -> list[str]:
    mark, whole = _text(separator), _text(text)
    if mark:
        return whole.split(mark)
    if not whole.isascii():
        raise NotImplementedError
    return list(whole)


def _length(value: Any) -> int:
    if isinstance(value, str):
        # Grapheme clusters; only without combining marks are they as many as code points.
        if not value.isascii() or "\r\n" in value:
            raise NotImplementedError
        return len(value)
    if not isinstance(value, list | dict):
        raise TypeError
    return len(value)


def _replace(text: Any, old: Any, new: Any) -> Any:
    text, old, new = _text(text), _text(old), _text(new)
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return Unknown("replace() with a regular expression")
    if not old:
        raise NotImplementedError
    if text.count(old) * len(new) > MAX_TEXT:
        raise NotImplementedError
    return text.replace(old, new)


_VERB: Final = re.compile(r"%(?:(%)|(0?)(\d{0,2})([dsvq])|.?)", re.DOTALL)


def _format(pattern: Any, *arguments: Any) -> Any:
    rest = list(arguments)

    def written(verb: re.Match[str]) -> str:
        if verb[1]:
            return "%"
        if not verb[4]:
            raise NotImplementedError
        value = rest.pop(0)
        if verb[4] == "d":
            text = str(_whole(value))
        elif verb[4] == "q" or (verb[4] == "v" and isinstance(value, list | dict)):
            raise NotImplementedError
        else:
            text = "null" if value is None else _text(value)
        if verb[2] and verb[4] != "d":
            raise NotImplementedError
        return text.zfill(int(verb[3] or 0)) if verb[2] else text.rjust(int(verb[3] or 0))

    text = _VERB.sub(written, _text(pattern))
    if rest:
        raise ValueError("too many arguments")
    return text


def _one_type(items: list[Any]) -> list[Any]:
    """Items that become one type: those of a list, a set or a map of one type."""
    items = values.unified(items)
    # A null may be a text's, which would make texts of the others.
    has_null = None in items and not all(item is None or isinstance(item, str) for item in items)
    if has_null or not all(values.alike(items[0], item) for item in items):
        raise NotImplementedError
    return items


def _coalesce(*candidates: Any) -> Any:
    for value in _one_type(list(candidates)):
        if isinstance(value, list | dict):
            raise NotImplementedError
        if isinstance(value, Unknown):
            return value
        if value is not None and value != "":
            return value
    raise ValueError("no value that is neither null nor empty")


def _flatten(value: Any, depth: int = 32) -> list[Any]:
    if depth == 0:
        raise NotImplementedError
    out: list[Any] = []
    for item in _list(value):
        if isinstance(item, Unknown):
            raise NotImplementedError
        out.extend(_flatten(item, depth - 1) if isinstance(item, list) else [item])
    return out


def _distinct(items: Any) -> list[Any]:
    every = _one_type(_list(items))
    if any(isinstance(item, list | dict) for item in every):
        raise NotImplementedError
    return values.without_repeats(every)


def _range(*limits: Any) -> list[int]:
    whole = [values.to_number(limit) for limit in limits]
    if not all(isinstance(limit, int) for limit in whole) or len(whole) == 3:
        raise NotImplementedError
    start, end = whole if len(whole) == 2 else (0, *whole)
    numbers = range(start, end, 1 if start <= end else -1)
    if len(numbers) > 1024:
        raise ValueError("more than 1024 values")
    return list(numbers)


def _tolist(value: Any) -> list[Any]:
    return _one_type(_list(value))


def _tomap(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return dict(zip(value, _one_type(list(value.values())), strict=True))


def _keys(mapping: Any) -> list[str]:
    if not isinstance(mapping, dict):
        raise TypeError
    return sorted(mapping)


def _jsondecode(text: Any) -> Any:
    return json.loads(_text(text))


def _jsonencode(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _simple(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        converted = convert(value)
        if isinstance(converted, values.Invalid):
            raise TypeError
        return converted

    return call


def _ordered(choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def call(*numbers: Any) -> Any:
        found = [values.to_number(number) for number in numbers]
        if not all(values.is_number(number) for number in found):
            raise TypeError
        return choose(found)

    return call


# Functions that look at the whole of each argument: one unknown part makes the result unknown.
WHOLE: Final[dict[str, Callable[..., Any]]] = {
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "trimspace": lambda text: _text(text).strip(),
    "trimprefix": lambda text, prefix: _text(text).removeprefix(_text(prefix)),
    "trimsuffix": lambda text, suffix: _text(text).removesuffix(_text(suffix)),
    "startswith": lambda text, prefix: _text(text).startswith(_text(prefix)),
    "endswith": lambda text, suffix: _text(text).endswith(_text(suffix)),
    "split": _split,
    "join": lambda separator, *lists: _text(separator).join(_text(item) for items in lists for item in _list(items)),
    "replace": _replace,
    "format": _format,
    "min": _ordered(min),
    "max": _ordered(max),
    "abs": _ordered(lambda numbers: abs(numbers[0])),
    "distinct": _distinct,
    "compact": lambda items: [_text(item) for item in _list(items) if item is not None and item != ""],
    "sort": lambda items: sorted(_text(item) for item in _list(items)),
    "range": _range,
    "toset": lambda items: values.to_set(_one_type(_list(items))),
    "tostring": _simple(values.to_text),
    "tonumber": _simple(values.to_number),
    "tobool": _simple(values.to_bool),
    "jsonencode": _jsonencode,
    "jsondecode": _jsondecode,
}
# Functions that look at the outside: lists and maps with unknown parts go in and out.
OUTER: Final[dict[str, Callable[..., Any]]] = {
    "lookup": _lookup,
    "merge": _merge,
    "concat": _concat,
    "contains": _contains,
    "element": _element,
    "length": _length,
    "keys": _keys,
    "values": lambda mapping: [mapping[key] for key in _keys(mapping)],
    "flatten": _flatten,
    "reverse": lambda items: list(reversed(_list(items))),
    "zipmap": lambda names, items: dict(zip(map(_text, _list(names)), _list(items), strict=True)),
    "tolist": _tolist,
    "tomap": _tomap,
}


def call(name: str, arguments: list[Any]) -> Any:
    """The result of a call, `coalesce` too (`try` and `can` are the evaluator's)."""
    if name == "coalesce":
        function: Callable[..., Any] | None = _coalesce
    elif (function := WHOLE.get(name)) is not None:
        for argument in arguments:
            if (unknown := values.first_unknown(argument)) is not None:
                return unknown
    elif (function := OUTER.get(name)) is not None:
        for argument in arguments:
            if isinstance(argument, Unknown):
                return argument
    if function is None:
        return Unknown(f"{name}() is not worked out here")
    try:
        result = function(*arguments)
    except NotImplementedError:
        return Unknown(f"{name}() of such a value is not worked out here")
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return values.Invalid(f"{name}() refuses its arguments")
    if (isinstance(result, str) and len(result) > MAX_TEXT) or (isinstance(result, list) and len(result) > MAX_ITEMS):
        return Unknown(f"{name}() makes a very large value")
    return result
