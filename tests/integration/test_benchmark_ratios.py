"""What trust-otel adds to an operation has not grown, compared with what a peer adds in the same seconds.

Only rows are tested whose ratio varies little on a busy machine; `benchmarks/RESULTS.md` has them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmarks.report import RATIOS, Result
from benchmarks.rows import ROWS
from benchmarks.runner import measure

# One fixed peer, because the best one of a row may change from run to run.
_PEERS = {
    "http": "prometheus-fastapi-instrumentator",
    "recording": "prometheus_client",
    "grpc": "py-grpc-prometheus",
    "sqlalchemy": "contrib",
}
# Among 300 routes the bare request varies by more than trust-otel adds.
_UNSTEADY = {"300 routes"}
_ROWS = {
    row.title: replace(row, peers=(_PEERS[row.workloads],))
    for row in ROWS
    if _PEERS.get(row.workloads) in row.peers and row.case not in _UNSTEADY
}
_ROUNDS = 40
_GROWTH = 1.5


@pytest.fixture(scope="module")
def results() -> Mapping[str, Result]:
    measured = measure(_ROWS.values(), dict.fromkeys(_PEERS, _ROUNDS))
    return {row.title: Result.of(row, costs) for row, costs in measured.items()}


@pytest.mark.parametrize("title", _ROWS)
def test_ratio_to_a_peer_is_not_half_above_the_recorded_one(title: str, results: Mapping[str, Result]) -> None:
    result = results[title]
    assert not result.not_available
    (peer,) = result.row.peers
    recorded = json.loads(RATIOS.read_text(encoding="utf-8"))[title][peer]
    print(f"{title}: {result.ratios[peer]:.3f} of {peer}, recorded {recorded:.3f}")
    assert result.ratios[peer] < _GROWTH * recorded
