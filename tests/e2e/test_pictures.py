"""Palettes reduce the size of screenshots without visible differences."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from testbed.screenshots.palette import reduce_colours
from tools.preview.browser import Browser

_WIDTH, _HEIGHT = 64, 32
# Eight adjacent shades of a channel share a palette entry.
_MOST_DEVIATION = 7

Pixel = tuple[int, int, int]


def test_a_picture_with_a_palette_shows_the_same(tmp_path: Path) -> None:
    pixels = [[(16 * (x // 4), 4 * y, 128) for x in range(_WIDTH)] for y in range(_HEIGHT)]
    file = tmp_path / "picture.png"
    file.write_bytes(_png(pixels))
    with Browser() as browser:
        reduce_colours(browser, file)
    shown = _with_palette(file.read_bytes())
    assert [len(line) for line in shown] == [_WIDTH] * _HEIGHT
    deviations = [
        abs(one - other)
        for line, expected in zip(shown, pixels, strict=True)
        for pixel, wanted in zip(line, expected, strict=True)
        for one, other in zip(pixel, wanted, strict=True)
    ]
    assert max(deviations) <= _MOST_DEVIATION


def test_few_colours_stay_exactly_as_they_are(tmp_path: Path) -> None:
    pixels: list[list[Pixel]] = [[(17, 18, 23), (242, 73, 92)] * (_WIDTH // 2)] * _HEIGHT
    file = tmp_path / "picture.png"
    file.write_bytes(_png(pixels))
    with Browser() as browser:
        reduce_colours(browser, file)
    assert _with_palette(file.read_bytes()) == pixels


def _png(pixels: list[list[Pixel]]) -> bytes:
    lines = b"".join(b"\0" + bytes(channel for pixel in line for channel in pixel) for line in pixels)
    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _with_palette(png: bytes) -> list[list[Pixel]]:
    chunks = dict(_chunks(png))
    width, _, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, kind) == (8, 3)
    palette = list(struct.iter_unpack("BBB", chunks[b"PLTE"]))
    assert len(palette) <= 256
    lines = zlib.decompress(chunks[b"IDAT"])
    return [
        [palette[place] for place in lines[begin + 1 : begin + 1 + width]] for begin in range(0, len(lines), width + 1)
    ]


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        found.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + length]))
        place += 12 + length
    return found
