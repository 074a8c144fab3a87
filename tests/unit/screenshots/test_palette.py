"""Screenshots with a palette look like the originals."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageChops

from testbed.screenshots.palette import reduce_colours, save_small

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


def test_a_screenshot_of_a_phone_keeps_its_upper_part_in_fewer_pixels(tmp_path: Path) -> None:
    png = tmp_path / "phone.png"
    Image.new("RGB", (780, 4000)).save(png)
    save_small(png, 390, 1800)
    with Image.open(png) as image:
        assert image.size == (390, 1800)
