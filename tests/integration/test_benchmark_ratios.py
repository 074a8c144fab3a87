"""What trust-otel adds to an operation has not grown, compared with what a peer adds in the same seconds.

Only rows are tested whose ratio varies little on a busy machine; `benchmarks/RESULTS.md` has them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from benchmarks.report import RATIOS, Result
from benchmarks.rows import ROWS, Row
from benchmarks.runner import measure

# One fixed peer, because the best one of a row may change from run to run.
_PEERS = {
    "http": "prometheus-fastapi-instrumentator",
    "recording": "prometheus_client",
    "grpc": "py-grpc-prometheus",
    "sqlalchemy": "contrib",
}
# Where the bare request varies by more than trust-otel adds: by the search for the route, and by switches of threads.
_UNSTEADY = {"300 routes", "sync handler"}
_ROWS = {
    row.title: replace(row, peers=(_PEERS[row.workloads],))
    for row in ROWS
    if _PEERS.get(row.workloads) in row.peers and row.case not in _UNSTEADY
}
_ROUNDS = 50
_GROWTH = 1.5


@pytest.fixture(scope="module")
def ratios() -> Mapping[str, float]:
    return _measured(_ROWS.values())


def _measured(rows: Iterable[Row]) -> dict[str, float]:
    measured = measure(rows, dict.fromkeys(_PEERS, _ROUNDS))
    results = [Result.of(row, costs) for row, costs in measured.items()]
    assert [dict(result.not_available) for result in results if result.not_available] == []
    return {result.row.title: ratio for result in results for ratio in result.ratios.values()}


@pytest.mark.parametrize("title", _ROWS)
def test_ratio_to_a_peer_is_not_half_above_the_recorded_one(title: str, ratios: Mapping[str, float]) -> None:
    row, ratio = _ROWS[title], ratios[title]
    recorded = json.loads(RATIOS.read_text(encoding="utf-8"))[title][row.peers[0]]
    if ratio > _GROWTH * recorded:
        # The same code costs a little more in some processes than in others, so new ones decide.
        ratio = _measured([row])[title]
    print(f"{title}: {ratio:.3f} of {row.peers[0]}, recorded {recorded:.3f}")
    assert ratio <= _GROWTH * recorded
