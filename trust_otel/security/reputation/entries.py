"""Parsers of the feed formats: plain text, CSV, JSON lines, STIX 2.1."""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from json import JSONDecoder
from typing import Any, Final, TextIO

from trust_otel.security.reputation.network_parsing import parse_network
from trust_otel.security.reputation.stix import Validity, addresses_of

Entry = tuple[int, str | None]
"""Number of the line or JSON object, and its text: an address or network, not yet validated; `None` if the line or
object has no entry, such as a comment."""

# In order of preference: source addresses before destination addresses.
_COLUMNS: Final = (
    "ip",
    "ip_address",
    "ipaddress",
    "address",
    "cidr",
    "network",
    "prefix",
    "subnet",
    "src_ip",
    "source_ip",
    "indicator",
    "ioc",
    "ioc_value",
    "value",
    "dst_ip",
    "destination_ip",
)
_DELIMITERS: Final = (",", ";", "\t", "|")

_FIRST_WORD: Final = re.compile(r"""[\s"']*([^\s,;|#"']*)""")
_BLANK: Final = re.compile(r"[ \t\r\n]*")


def text_entries(lines: TextIO) -> Iterator[Entry]:
    """The entries of plain text, or of CSV with or without a header.

    Raises:
        ValueError: The CSV has no column with addresses.
    """
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        word = _first_word(line)
        if word is None:
            yield number, None
        elif not _is_network(word) and (delimiter := _delimiter(line)):
            return (yield from _csv_entries(number, line, lines, delimiter))
        else:
            yield number, None if word.lower() in _COLUMNS else word  # header of a single column
            return (yield from ((number, _first_word(line)) for number, line in numbered))


def _first_word(line: str) -> str | None:
    match = _FIRST_WORD.match(line)
    return match[1] or None if match else None


def _delimiter(line: str) -> str | None:
    delimiter = max(_DELIMITERS, key=line.count)
    return delimiter if delimiter in line else None


def _csv_entries(number: int, first: str, rest: Iterable[str], delimiter: str) -> Iterator[Entry]:
    rows = csv.reader(_without_comments(chain((first,), rest)), delimiter=delimiter, skipinitialspace=True)
    column = None
    try:
        for row in rows:
            line = number - 1 + rows.line_num
            if not row:
                yield line, None
            elif column is not None:
                yield line, row[column].strip() if column < len(row) else ""
            elif (header := _named_column(row)) is not None:
                column = header
            elif (filled := _filled_column(row)) is not None:
                column = filled
                yield line, row[column].strip()
    except csv.Error as error:
        raise ValueError(f"line {number - 1 + rows.line_num} is not valid CSV ({error})") from error
    if column is None:
        raise ValueError("the CSV file has no column with addresses; name one `ip` in the first line")


def _without_comments(lines: Iterable[str]) -> Iterator[str]:
    return ("\n" if line.startswith("#") else line for line in lines)


def _named_column(row: list[str]) -> int | None:
    names = [field.strip().lower() for field in row]
    return next((names.index(name) for name in _COLUMNS if name in names), None)


def _filled_column(row: list[str]) -> int | None:
    return next((index for index, field in enumerate(row) if _is_network(field.strip())), None)


def _is_network(text: str) -> bool:
    try:
        parse_network(text)
    except ValueError:
        return False
    return True


def json_entries(text: str, validity: Validity) -> Iterator[Entry]:
    """The entries of a STIX 2.1 bundle, a TAXII envelope, or JSON lines with a `cidr` (Spamhaus DROP).

    Raises:
        ValueError: The text is none of these or is truncated.
    """
    known_format = False
    for number, (value, in_bundle) in enumerate(_objects(text), 1):
        known_format = known_format or in_bundle or "cidr" in value
        networks = addresses_of(value, validity) if in_bundle else _as_text(value.get("cidr"))
        if not networks:
            yield number, None
        for network in networks:
            yield number, network
    if not known_format:
        raise ValueError("the file is JSON, but neither STIX nor JSON lines with a `cidr`")


def _as_text(value: object) -> list[str]:
    return [] if value is None else [str(value)]


def _objects(text: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every JSON object of a text, and whether it is an element of the `objects` of another one.

    Decoded one by one: decoding a whole bundle at once would hold the GIL for seconds.
    """
    decode = JSONDecoder().raw_decode
    position = _past_blank(text, 0)
    try:
        while position < len(text):
            members: dict[str, Any] = {}
            position = _past(text, position, "{")
            while text[position] != "}":
                name, position = decode(text, position)
                position = _past(text, _past_blank(text, position), ":")
                if name == "objects" and text[position] == "[":
                    position = yield from _elements(text, _past(text, position, "["))
                else:
                    members[str(name)], position = decode(text, position)
                position = _past_comma(text, position)
            yield members, False
            position = _past_comma(text, position + 1)
    except IndexError as error:
        raise ValueError("the JSON file is truncated") from error
    except (RecursionError, ValueError) as error:
        raise ValueError(f"the file is not valid JSON, or truncated ({error})") from error


def _elements(text: str, position: int) -> Generator[tuple[dict[str, Any], bool], None, int]:
    decode = JSONDecoder().raw_decode
    while text[position] != "]":
        value, position = decode(text, position)
        yield value if isinstance(value, dict) else {}, True
        position = _past_comma(text, position)
    return position + 1


def _past_blank(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _past(text: str, position: int, sign: str) -> int:
    if text[position] != sign:
        raise ValueError(f"{sign} expected at character {position}")
    return _past_blank(text, position + 1)


def _past_comma(text: str, position: int) -> int:
    position = _past_blank(text, position)
    return _past_blank(text, position + 1) if text[position : position + 1] == "," else position
