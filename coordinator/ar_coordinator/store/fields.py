"""Records as Redis hashes: one field for each attribute, as text; an absent field is ``None`` or the default.

Not here: which key a record has. Numbers keep full precision (``repr``), which JSON inside Lua would not.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def to_fields(record: object) -> dict[str, str]:
    """Return the fields of a dataclass; ``None`` values are left out."""
    found: dict[str, str] = {}
    for item in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, item.name)
        if value is not None:
            found[item.name] = to_text(value)
    return found


def to_text(value: object) -> str:
    """Return one value as text."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    return msgspec.json.encode(value).decode()


def from_fields(kind: type[T], fields: Mapping[str, str]) -> T:
    """Return the record; fields that it does not know are passed over."""
    hints: dict[str, Any] = _hints(typing.cast("typing.Hashable", kind))
    values = {name: _from_text(hint, fields[name]) for name, hint in hints.items() if name in fields}
    absent = {
        name: None for name in _required_and_optional(typing.cast("typing.Hashable", kind)) if name not in fields
    }
    return kind(**absent, **values)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return {
        name: _bare(annotation)
        for name, annotation in typing.get_type_hints(typing.cast("typing.Hashable", kind)).items()
    }


@cache
def _required_and_optional(kind: Any) -> tuple[str, ...]:
    """Return the attributes that may be ``None`` and have no default to fall back to."""
    hints = typing.get_type_hints(kind)
    return tuple(
        item.name
        for item in dataclasses.fields(kind)
        if item.default is dataclasses.MISSING and type(None) in typing.get_args(hints[item.name])
    )


def _bare(annotation: Any) -> Any:
    """Return the type without its ``None``."""
    if typing.get_origin(annotation) in {types.UnionType, typing.Union}:
        return next(a for a in typing.get_args(annotation) if a is not type(None))
    return annotation


def _from_text(annotation: Any, text: str) -> Any:
    if annotation is str:
        return text
    if annotation is bool:
        return text == "1"
    if annotation is bytes:
        return bytes.fromhex(text)
    if annotation is datetime:
        return datetime.fromisoformat(text)
    if isinstance(annotation, type) and issubclass(annotation, int | float | Enum):
        return annotation(text)
    return msgspec.json.decode(text, type=annotation)
