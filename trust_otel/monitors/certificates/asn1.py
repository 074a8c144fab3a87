"""Reads the structure of ASN.1 values in BER and DER (ITU-T X.690, section 8.1), without decoding them.

Files contain several values, text after a value, and BER where DER is required.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
CONTEXT_0: Final = 0xA0
CONTEXT_1: Final = 0xA1

_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_INDEFINITE: Final = 0x80
_MAX_LENGTH_BYTES: Final = 4
_MAX_DEPTH: Final = 50


@dataclass(frozen=True)
class Element:
    """A value within data.

    Attributes:
        data: The data.
        start: Position of its first byte.
        content: Position of its content.
        content_end: Position after its content.
        end: Position after the element; differs from `content_end` if the length is indefinite.
    """

    data: bytes
    start: int
    content: int
    content_end: int
    end: int

    @property
    def tag(self) -> int:
        """Its first byte."""
        return self.data[self.start]

    @property
    def encoded(self) -> bytes:
        """The whole element."""
        return self.data[self.start : self.end]

    @property
    def value(self) -> bytes:
        """The content."""
        return self.data[self.content : self.content_end]

    def children(self) -> Iterator[Element]:
        """The elements of a constructed value.

        Raises:
            ValueError: One of them is truncated or invalid.
        """
        position = self.content
        while position < self.content_end:
            child = _element(self.data, position, self.content_end, 0)
            yield child
            position = child.end


def element_at(data: bytes, start: int) -> Element:
    """The element at a position.

    Raises:
        ValueError: It is truncated or invalid.
    """
    return _element(data, start, len(data), 0)


def _element(data: bytes, start: int, limit: int, depth: int) -> Element:
    if start + 2 > limit or data[start] & _LONG_TAG == _LONG_TAG or depth > _MAX_DEPTH:
        raise ValueError("truncated or invalid")
    length, content = data[start + 1], start + 2
    if length == _INDEFINITE and data[start] & _CONSTRUCTED:
        content_end = _end_of_contents(data, content, limit, depth)
        return Element(data, start, content, content_end, content_end + 2)
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= _MAX_LENGTH_BYTES:
            raise ValueError("invalid length")
        content += count
        length = int.from_bytes(data[start + 2 : content], "big")
    if content + length > limit:
        raise ValueError("truncated")
    return Element(data, start, content, content + length, content + length)


def _end_of_contents(data: bytes, position: int, limit: int, depth: int) -> int:
    while data[position : position + 2] != b"\0\0":
        position = _element(data, position, limit, depth + 1).end
    return position
