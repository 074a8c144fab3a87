"""The result of a benchmark states costs, ratios and what could not be measured."""

from __future__ import annotations

import pytest

from benchmarks.report import Result
from benchmarks.rows import ROUNDS, ROWS, THE_OPERATION, Row
from benchmarks.runner import Costs
from benchmarks.variants import VARIANTS

_ROW = Row("a request", "http", "10 routes", 0.5, ("first", "second"))
_ROUNDS = {"bare": [50.0, 40.0], "trust-otel": [45.0, 48.0], "first": [60.0, 65.0], "second": [50.0, 90.0]}


def test_added_cost_is_the_difference_of_the_minima() -> None:
    result = Result.of(_ROW, Costs(_ROUNDS))

    assert result.bare == 40.0
    assert result.ours.least == 5.0
    assert {name: added.least for name, added in result.peers.items()} == {"first": 20.0, "second": 10.0}


def test_bar_is_compared_with_the_ratio_to_the_peer_that_adds_least() -> None:
    result = Result.of(_ROW, Costs(_ROUNDS))
    assert (result.best, result.ratios["second"], result.cells[-1]) == ("second", 0.5, "yes")

    slower = Result.of(_ROW, Costs({**_ROUNDS, "trust-otel": [46.0]}))
    assert slower.cells[-1] == "**no**"


def test_a_row_without_a_bare_variant_compares_whole_costs() -> None:
    row = Row("a scrape", "scrape", "1000", 0.1, ("first",), bare=None)
    result = Result.of(row, Costs({"trust-otel": [6.0], "first": [60.0]}))
    assert result.ratios == {"first": 0.1}


def test_a_row_without_peers_compares_with_the_operation_itself() -> None:
    row = Row("a signature", "signing", "signature RSA", 0.01, (), bare=None, operation="signature RSA alone")
    assert row.runs == {
        "trust-otel": ("signature RSA", "trust-otel"),
        THE_OPERATION: ("signature RSA alone", "trust-otel"),
    }
    result = Result.of(row, Costs({"trust-otel": [3.0, 2.0], THE_OPERATION: [200.0, 250.0]}))
    assert (result.ratios, result.cells[-1]) == ({THE_OPERATION: 0.01}, "yes")


def test_a_peer_that_cannot_be_had_stays_in_the_result_with_the_reason() -> None:
    rounds = {name: _ROUNDS[name] for name in ("bare", "trust-otel", "first")}
    result = Result.of(_ROW, Costs(rounds, {"second": "no such version"}))
    assert (result.best, dict(result.not_available)) == ("first", {"second": "no such version"})

    neither = {"first": "no such version", "second": "no such version"}
    alone = Result.of(_ROW, Costs({name: _ROUNDS[name] for name in ("bare", "trust-otel")}, neither))
    assert alone.cells[4:] == ("not available: no such version; no such version", "", "0.50", "")


def test_a_run_without_trust_otel_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="trust-otel could not be measured: exited with status 1"):
        Result.of(_ROW, Costs({"bare": [1.0]}, {"trust-otel": "exited with status 1"}))


def test_rows_name_existing_variants_and_have_titles_of_their_own() -> None:
    assert {name for row in ROWS for name in row.variants} <= VARIANTS.keys()
    assert {row.workloads for row in ROWS} == ROUNDS.keys()
    assert len({row.title for row in ROWS}) == len(ROWS)
