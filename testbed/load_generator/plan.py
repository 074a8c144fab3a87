"""What is done, in which order: the same for the same seed, however fast it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from testbed.load_generator.operations.act import Act
from testbed.load_generator.population import ADDRESSES, CERTIFICATE_TYPES, COUNTRIES, DOCUMENT_TYPES
from testbed.load_generator.state import Operation

_SCORES = (1, 2, 3, 4, 5)
_SCORE_WEIGHTS = (1, 2, 6, 20, 30)
_LONGEST_STREAM = 6


def plan(seed: int, acts: Mapping[str, Act]) -> Iterator[Operation]:
    """Operations without end; the first ones do everything once, so that a short run shows all of it."""
    chance = Random(seed)  # noqa: S311 (a plan, not a secret)
    kinds = sorted(acts)
    weights = [acts[kind].weight for kind in kinds]
    for kind in chance.sample(kinds, len(kinds)):
        yield _operation(kind, chance)
    while True:
        yield _operation(chance.choices(kinds, weights)[0], chance)


def _operation(kind: str, chance: Random) -> Operation:
    return Operation(
        kind=kind,
        pick=chance.randrange(1_000_000),
        document_type=chance.choice(DOCUMENT_TYPES),
        country=chance.choice(COUNTRIES),
        certificate_type=chance.choice(CERTIFICATE_TYPES),
        address=chance.choice(ADDRESSES),
        score=chance.choices(_SCORES, _SCORE_WEIGHTS)[0],
        size=chance.randint(2, _LONGEST_STREAM),
    )
