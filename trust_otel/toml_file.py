"""TOML files that settings name: reading them, and naming what is wrong in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from trust_otel.privacy.pii import contains_private
from trust_otel.reloading_file import open_file

_MAX_BYTES: Final = 256 * 1024
_MOST_SHOWN: Final = 5  # problems in one message


def read_toml(path: str | Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not TOML, or too large; the message names the line and a fix.
    """
    # Imported here: a service without such a file needs no parser.
    parser = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    text = _text(path)
    try:
        content: dict[str, Any] = parser.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the file is not TOML: {error}") from error
    return content


def declarations(
    path: str | Path,
    section: str,
    noun: str,
    *,
    limit: int,
    setting: str,
    problems: Callable[[str, object], Iterable[str]],
) -> dict[str, dict[str, Any]]:
    """The tables `[section.NAME]` of a TOML file by name.

    Args:
        path: The file.
        section: The name before the dot.
        noun: What each table declares, in messages.
        limit: How many tables the file may have.
        setting: The setting that names the file.
        problems: What is wrong in the table of a name.

    Raises:
        OSError: The file cannot be read.
        ValueError: The content is invalid; the message names each problem and a fix.
    """
    content = read_toml(path)
    tables = content.pop(section, None)
    found = [
        f"{shown(key)} = {shown(value)} belongs to no {noun}; write {noun}s as [{section}.NAME]"
        for key, value in content.items()
    ]
    if not isinstance(tables, dict) or not tables:
        raise_problems([*found, f"the file declares no {noun}; write [{section}.NAME], or unset {setting}"])
    if len(tables) > limit:
        found.append(f"{len(tables)} {noun}s are too many; at most {limit} are allowed")
    for name, table in tables.items():
        found += (f"{noun} {shown(name)}: {problem}" for problem in problems(name, table))
    raise_problems(found)
    return dict(tables)


def raise_problems(problems: Iterable[str]) -> None:
    """Raise the first problems together.

    Raises:
        ValueError: There is one.
    """
    found = list(problems)
    if found:
        more = len(found) - _MOST_SHOWN
        raise ValueError("; ".join(found[:_MOST_SHOWN]) + (f"; and {more} more" if more > 0 else ""))


def meant(wrong: object, names: Mapping[str, object] | tuple[str, ...]) -> str:
    """The name that was probably meant, for a message; empty if there is none."""
    close = get_close_matches(str(wrong), names, 1)
    return f" (perhaps {close[0]!r})" if close else ""


def shown(value: object) -> str:
    """A value in a message."""
    text = "nothing" if value is None else repr(value)
    if contains_private(text):
        return "a text that looks private"
    return text if len(text) <= 80 else f"{text[:80]}..."


def _text(path: str | Path) -> str:
    with open_file(path, _MAX_BYTES) as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8; save the file as UTF-8") from error
