"""The sequence of operations, determined by the seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.population import ADDRESSES, CERTIFICATE_TYPES, COUNTRIES, DOCUMENT_TYPES
from testbed.load_generator.state import Operation

_SCORES = (1, 2, 3, 4, 5)
_SCORE_WEIGHTS = (1, 2, 6, 20, 30)
_LONGEST_STREAM = 6


def plan(seed: int, operation_types: Mapping[str, OperationType]) -> Iterator[Operation]:
    """Endless operations. The first ones cover every type once, so that a short run includes all of them."""
    rng = Random(seed)  # noqa: S311 (not for security)
    kinds = sorted(operation_types)
    weights = [operation_types[kind].weight for kind in kinds]
    for kind in rng.sample(kinds, len(kinds)):
        yield _operation(kind, rng)
    while True:
        yield _operation(rng.choices(kinds, weights)[0], rng)


def _operation(kind: str, rng: Random) -> Operation:
    return Operation(
        kind=kind,
        pick=rng.randrange(1_000_000),
        document_type=rng.choice(DOCUMENT_TYPES),
        country=rng.choice(COUNTRIES),
        certificate_type=rng.choice(CERTIFICATE_TYPES),
        address=rng.choice(ADDRESSES),
        score=rng.choices(_SCORES, _SCORE_WEIGHTS)[0],
        size=rng.randint(2, _LONGEST_STREAM),
    )
