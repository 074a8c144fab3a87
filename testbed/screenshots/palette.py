"""Pictures with a palette of 256 colours, a third as large; of graphs and text one sees no difference."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

from tools.preview.browser import Browser

# The browser has what it takes to read a picture. The commonest shades get a place in the palette, each of a cube of
# its own; all others are shown as the nearest of them.
_REDUCE = """
(async () => {
  const file = await (await fetch('data:image/png;base64,%s')).blob();
  const image = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
  canvas.drawImage(image, 0, 0);
  const pixels = new Uint32Array(canvas.getImageData(0, 0, image.width, image.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const channels = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const shades = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
  const cubes = new Map();
  for (const shade of shades) {
    const cube = (shade >> 3) & 0x1f1f1f;
    if (!cubes.has(cube)) cubes.set(cube, { shade, count: 0 });
    cubes.get(cube).count += counts.get(shade);
  }
  const palette = [...cubes.values()].sort((one, other) => other.count - one.count).slice(0, 256)
    .map(({ shade }) => channels(shade));
  const places = new Map(shades.map((shade) => {
    const [red, green, blue] = channels(shade);
    let nearest = 0, least = Infinity;
    palette.forEach(([r, g, b], place) => {
      const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
      if (distance < least) [nearest, least] = [place, distance];
    });
    return [shade, nearest];
  }));
  const indices = new Blob([Uint8Array.from(pixels, (pixel) => places.get(pixel))]);
  const url = await new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(indices);
  });
  return { width: image.width, height: image.height, palette: palette.flat(), indices: url.split(',')[1] };
})()
"""


def reduce_colours(browser: Browser, png: Path) -> None:
    """Write the picture anew with a palette. Raises BrowserError when the browser cannot read it."""
    found = browser.evaluate(_REDUCE % base64.b64encode(png.read_bytes()).decode())
    width, height = found["width"], found["height"]
    indices = base64.b64decode(found["indices"])
    # Each line begins with the filter that it was written with: none.
    lines = b"".join(b"\0" + indices[begin : begin + width] for begin in range(0, width * height, width))
    png.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        # 8 bits for the place of each pixel in the palette.
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + _chunk(b"PLTE", bytes(found["palette"]))
        + _chunk(b"IDAT", zlib.compress(lines, 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
