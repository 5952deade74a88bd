"""Whether a text still parses, by the cheapest parser there is for its language.

Not here: whether it makes sense. That only an evaluation tells.
"""

import ast
import json
import re
import tomllib
import warnings
from collections.abc import Callable

from ar_search.languages import Language, Parser

_BRACKET = re.compile(r"[()\[\]{}]")
_DEEPEST = 60
_LONG_KEY = re.compile(r"(?<![\w\"'-])(?:[\w\"'-]++\s*+\.\s*+){30}")


def parses(text: str, language: Language) -> bool:
    """Tell whether ``text`` is well formed; ``False`` also where the language has no parser here.

    Never raises: text may come from anybody, so nesting is counted before a recursive parser meets it.
    """
    if language.parser is None or _too_deep(text):
        return False
    try:
        _READERS[language.parser](text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def _read_toml(text: str) -> None:
    # The reader takes time with the square of a key's parts.
    if _LONG_KEY.search(text):
        raise ValueError("a key has too many parts")
    tomllib.loads(text)


def _read_python(text: str) -> None:
    with warnings.catch_warnings():
        # Odd escapes in somebody's strings are no concern of the person who runs the search.
        warnings.simplefilter("ignore")
        ast.parse(text)


_READERS: dict[Parser, Callable[[str], object]] = {
    Parser.JSON: json.loads,
    Parser.TOML: _read_toml,
    Parser.PYTHON: _read_python,
}


def _too_deep(text: str) -> bool:
    depth = 0
    for match in _BRACKET.finditer(text):
        depth += 1 if match.group() in "([{" else -1
        if depth > _DEEPEST:
            return True
    return False
