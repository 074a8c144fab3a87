"""PNG files with a palette of 256 colours, a third of the size. Graphs and text look the same."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image

_PHONE_SCALE: Final = 1
_WIDEST_PHONE: Final = 768


def save_small(png: Path, width: int, height: int | None) -> None:
    """Rewrite a screenshot with fewer pixels and colours.

    Args:
        png: The file.
        width: Of the page, in CSS pixels. Screenshots of a phone have more pixels, of which a part is enough.
        height: How much of the page to keep, in CSS pixels; None for all of it.

    Raises:
        OSError: It cannot be read, written, or is not an image.
    """
    image: Image.Image = Image.open(png)
    scale = image.width / width
    if height is not None:
        image = image.crop((0, 0, image.width, min(image.height, round(height * scale))))
    if width <= _WIDEST_PHONE:
        factor = _PHONE_SCALE / scale
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
    image.save(png)
    reduce_colours(png)


def reduce_colours(png: Path) -> None:
    """Rewrite the file with a palette, without loss if it has at most 256 colours.

    Raises:
        OSError: It cannot be read, written, or is not an image.
    """
    image = Image.open(png).convert("RGB")
    # k-means halves the number of pixels with a visible deviation. The commonest colours stay exact.
    image.quantize(kmeans=1).save(png, optimize=True)
