"""Screenshots with a palette look like the originals."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageChops

from testbed.screenshots.palette import reduce_colours

_SIZE = (64, 32)
_MAX_DEVIATION = 7


def test_more_than_256_colours_are_replaced_by_similar_ones(tmp_path: Path) -> None:
    original = Image.new("RGB", _SIZE)
    original.putdata([(16 * (x // 4), 4 * y, 128) for y in range(_SIZE[1]) for x in range(_SIZE[0])])
    reduced = _reduced(original, tmp_path)
    assert max(ImageChops.difference(reduced, original).tobytes()) <= _MAX_DEVIATION


def test_256_colours_are_preserved(tmp_path: Path) -> None:
    original = Image.new("RGB", _SIZE)
    original.putdata([(x % 8, y % 32, 23) for y in range(_SIZE[1]) for x in range(_SIZE[0])])
    reduced = _reduced(original, tmp_path)
    assert reduced.tobytes() == original.tobytes()


def _reduced(image: Image.Image, folder: Path) -> Image.Image:
    png = folder / "screenshot.png"
    image.save(png)
    reduce_colours(png)
    reduced = Image.open(png)
    assert reduced.mode == "P"
    return reduced.convert("RGB")
