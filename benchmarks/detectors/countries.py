"""`python -m benchmarks.detectors.countries ATLAS ZONES CODES`: prints the table in `country_distance`.

Covers the outline of each country with circles, so that the distance between two circles is a lower bound of the
distance between places in two countries. The sources are in the public domain, or are facts:

- ATLAS: `countries-50m.json` of the npm package world-atlas 2.0.2, which is Natural Earth 4.1.0 in the scale 1:50m;
- ZONES: `zone.tab` of the time zone database, for territories that Natural Earth draws with their state, or not at all;
- CODES: `iso_3166-1.json` of Debian's iso-codes, which maps ISO 3166-1 numbers to letters.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any, Final

from trust_otel.security.detectors.country_distance import haversine_km

_LARGEST_KM: Final = 600
_ROUNDING_KM: Final = 79  # half a degree each way, at the equator
_ISLAND_KM: Final = 100
_NEAR_KM: Final = 500
_NEXT: Final = range(-3, 4)
_WRAPS: Final = 180

# Natural Earth's names of territories without ISO 3166-1 number; XK is the code in GeoIP databases.
_WITHOUT_NUMBER: Final = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}
_NOBODY: Final = {"AQ"}

Point = tuple[float, float]
Circle = tuple[int, int, int]


def outlines(atlas: Path, codes: Path) -> dict[str, list[list[Point]]]:
    """The rings of each country, as latitudes and longitudes."""
    topology = json.loads(atlas.read_text())
    letters = {entry["numeric"]: entry["alpha_2"] for entry in json.loads(codes.read_text())["3166-1"]}
    arcs = [_arc(arc, topology["transform"]) for arc in topology["arcs"]]
    found: dict[str, list[list[Point]]] = defaultdict(list)
    for shape in topology["objects"]["countries"]["geometries"]:
        code = letters.get(shape.get("id")) or _WITHOUT_NUMBER.get(shape["properties"]["name"])
        if code and code not in _NOBODY:
            polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
            # A negative number is an arc in reverse (one's complement).
            found[code] += [[p for arc in polygon[0] for p in arcs[arc if arc >= 0 else ~arc]] for polygon in polygons]
    return found


def _dense(points: list[Point]) -> list[Point]:
    """The points, with intermediate ones between distant points, as along a border that follows a parallel."""
    dense = points[:1]
    for (lat, lon), (next_lat, next_lon) in pairwise(points):
        # One per degree; none if a polygon is split at 180 degrees.
        parts = ceil(max(abs(next_lat - lat), abs(next_lon - lon))) if abs(next_lon - lon) < _WRAPS else 1
        dense += [(lat + (next_lat - lat) * n / parts, lon + (next_lon - lon) * n / parts) for n in range(1, parts + 1)]
    return dense


def _arc(steps: list[list[int]], transform: dict[str, Any]) -> list[Point]:
    (x_scale, y_scale), (x_start, y_start) = transform["scale"], transform["translate"]
    x = y = 0
    points = []
    for step in steps:
        x, y = x + step[0], y + step[1]
        points.append((y * y_scale + y_start, x * x_scale + x_start))
    return _dense(points)


def zones(path: Path) -> dict[str, list[Point]]:
    """The locations of the time zones of each country."""
    found: dict[str, list[Point]] = defaultdict(list)
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            code, place = line.split("\t")[:2]
            latitude, longitude = re.findall(r"[+-]\d+", place)
            found[code].append((_degrees(latitude, 2), _degrees(longitude, 3)))
    return found


def _degrees(text: str, digits: int) -> float:
    whole, minutes = text[1 : digits + 1], text[digits + 1 : digits + 3]
    return (int(whole) + int(minutes) / 60) * (-1 if text[0] == "-" else 1)


def separate(rings: dict[str, list[list[Point]]], places: dict[str, list[Point]]) -> dict[str, list[Point]]:
    """The outline of each country, without territories that have their own code."""
    apart = {code: points for code, points in places.items() if code not in rings and code not in _NOBODY}
    separated: dict[str, list[Point]] = defaultdict(list)
    for code, polygons in rings.items():
        for ring in polygons:
            near = [other for other, points in apart.items() if any(_km(ring[0], p) < _NEAR_KM for p in points)]
            separated[near[0] if near and code in ("FR", "NL", "NO") else code] += ring
    return {**apart, **separated}


def cover(points: list[Point]) -> list[Circle]:
    """Circles by farthest-first traversal, until none is too large (Gonzalez, 1985)."""
    centres = [points[0]]
    distances = [_km(points[0], point) for point in points]
    while max(distances) > _LARGEST_KM - _ROUNDING_KM:
        farthest = points[distances.index(max(distances))]
        centres.append(farthest)
        distances = [min(old, _km(farthest, point)) for old, point in zip(distances, points, strict=True)]
    near: dict[Point, list[Point]] = defaultdict(list)
    for point in points:
        near[min(centres, key=lambda centre: _km(centre, point))].append(point)
    return [_around(members) for members in near.values()]


def _around(points: list[Point]) -> Circle:
    """The smallest circle around nearby points whose centre is at whole degrees."""
    candidates = {
        (round(lat) + y, (round(lon) + x + 180) % 360 - 180) for lat, lon in points for x in _NEXT for y in _NEXT
    }
    best = min(candidates, key=lambda centre: _reach(centre, points))
    return (*best, max(ceil(_reach(best, points)), _ISLAND_KM))


def _reach(centre: Point, points: list[Point]) -> float:
    return max(_km(centre, point) for point in points)


def _km(one: Point, other: Point) -> float:
    return haversine_km(*one, *other)


def main() -> None:
    """Print the lines of the table."""
    atlas, zone_tab, codes = (Path(argument) for argument in sys.argv[1:])
    for code, points in sorted(separate(outlines(atlas, codes), zones(zone_tab)).items()):
        print(code, *(",".join(map(str, circle)) for circle in cover(points)))  # noqa: T201 - output of a command


if __name__ == "__main__":
    main()
