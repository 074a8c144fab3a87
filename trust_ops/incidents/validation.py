"""Validates JSON that the receiver is sent, and names the field that is invalid."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Strict, TypeAdapter, ValidationError

from trust_ops.incidents.times import parse_time

T = TypeVar("T")

_SHOWN = 60


class InvalidError(ValueError):
    """Invalid JSON; the message says where and why."""


def from_json(adapter: TypeAdapter[T], body: bytes) -> T:
    """Parse and validate a body. Raises InvalidError."""
    try:
        # Not pydantic's parser: it rejects a text with a lone surrogate, which `Text` replaces.
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"the body is not JSON: {error}") from error
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise InvalidError(problem(error.errors(include_url=False))) from error


def problem(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors, such as `alerts[1].labels: Input should be a valid dictionary (got 7)`."""
    first = errors[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).removeprefix(".")
    if first["type"] == "value_error":
        reason = str(first["ctx"]["error"])
    elif first["type"] == "missing":
        reason = "missing"
    elif first["type"] == "dataclass_type":
        reason = f"must be a JSON object (got {_shown(first['input'])})"
    else:
        reason = f"{first['msg']} (got {_shown(first['input'])})"
    return f"{_shortened(where) or 'the body'}: {reason}"


def parsed_by(parse: Callable[[str], object]) -> BeforeValidator:
    """Parse a string before it is validated. Anything else is left to the validation."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def storable(text: str) -> str:
    """Replace lone surrogates and NUL, which databases reject."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


STORABLE = parsed_by(storable)
"""The same, for a field."""

Text = Annotated[str, STORABLE]
"""A string that can be stored."""

Time = Annotated[datetime, Strict(), parsed_by(parse_time)]
"""An RFC 3339 time. By itself, pydantic also accepts numbers."""


def _shown(value: object) -> str:
    # Shortened: it is untrusted, and goes into a response and the log.
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return _shortened(json.dumps(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
