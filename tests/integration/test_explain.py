"""`trust-otel explain` over generated incidents, with a real Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from testbed.fleet.causes.cases import cases
from testbed.fleet.causes.measure import Rank, seeded
from testbed.fleet.replay.evaluation import RULE_FILES, prometheus
from trust_ops.cli import main

pytestmark = pytest.mark.timeout(600)

_INCIDENTS = cases([1], ("route", "dependency", "release", "database"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Rank]]:
    folder = tmp_path_factory.mktemp("causes") / "history"
    return folder, seeded(folder, _INCIDENTS)


@pytest.fixture(scope="module")
def url(measured: tuple[Path, list[Rank]]) -> Iterator[str]:
    with prometheus(measured[0], RULE_FILES) as found:
        yield found


def _at(rank: Rank) -> str:
    return datetime.fromtimestamp(rank.question.fired.end, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def test_the_true_cause_is_first_and_the_largest_change_often_is_not(measured: tuple[Path, list[Rank]]) -> None:
    _, ranks = measured
    assert [rank.own for rank in ranks] == [1] * len(_INCIDENTS)
    assert sum(rank.baseline == 1 for rank in ranks) < len(_INCIDENTS)


def test_the_report_names_alert_cause_and_query(url: str, measured: tuple[Path, list[Rank]]) -> None:
    rank = measured[1][0]
    alert, (label, value) = rank.question.fired.rule.name, rank.question.cause
    result = CliRunner().invoke(
        main, ["explain", alert, "service_name=document-service", "--prometheus", url, "--at", _at(rank)]
    )
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{alert} of document-service in production\n")
    assert f"1. {label}={value}, score 0." in result.output
    assert f"Check: sum by ({label}) (rate(http_server_request_duration_seconds" in result.output


def test_without_a_name_it_explains_the_newest_alert(url: str, measured: tuple[Path, list[Rank]]) -> None:
    rank = measured[1][1]
    result = CliRunner().invoke(main, ["explain", "--prometheus", url, "--at", _at(rank), "--within", "3h", "--json"])
    assert result.exit_code == 0, result.output
    explained = json.loads(result.output)
    assert explained["causes"][0]["kind"] == "trust_dependency_name"
    assert explained["rule_loaded"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["NoSuchAlert"], "set --at to when it fired, or raise --within"),
        (["NoSuchAlert", "not a matcher"], "is not a label matcher"),
        (["NoSuchAlert", "--at", "2999-01-01"], "is in the future"),
        (["NoSuchAlert", "--at", "yesterday"], "is not a time such as"),
    ],
)
def test_an_error_names_what_to_change(url: str, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["explain", *arguments, "--prometheus", url])
    assert result.exit_code in (1, 2)
    assert message in result.output
