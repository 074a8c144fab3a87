"""`make demo` with a fixed duration and a report, and its shutdown on signals."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from os import environ
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.dashboards import STEP_SECONDS, PanelQueries, queries
from tests.support.running import eventually, processes_of
from tests.support.unmeasured import NOT_OF_THE_EXAMPLE
from trust_otel.semconv.metrics import (
    ALL,
    HTTP_SERVER_REQUEST_BODY_SIZE,
    HTTP_SERVER_RESPONSE_BODY_SIZE,
    TRUST_SECURITY_AUTH_FAILURES,
    TRUST_SECURITY_INCIDENTS,
    TRUST_SECURITY_THREAT_MATCHES,
)

_ROOT = Path(__file__).parents[2]
_HOUR = 3600
_CALM_SECONDS = 30


def _demo(folder: Path, seconds: int, **environment: str) -> tuple[str, dict[str, Any]]:
    report = folder / "report.json"
    command = [sys.executable, "-m", "examples.demo", "--for", f"{seconds}s", "--report", str(report)]
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**environ, "PYTHONPATH": str(_ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout, json.loads(report.read_text())


def _started(folder: Path) -> subprocess.Popen[str]:
    """A demo that runs until it is ended."""
    return subprocess.Popen(
        [sys.executable, "-m", "examples.demo"],
        cwd=folder,
        env={**environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, _demo(folder, 20)[1]


def test_every_total_in_prometheus_equals_the_generated_events(demo: tuple[Path, dict[str, Any]]) -> None:
    _, report = demo
    assert report["read_from"] == "Prometheus"
    assert len(report["expected_totals"]) > 150
    assert report["prometheus"] == report["expected_totals"]


def test_every_declared_family_has_series(demo: tuple[Path, dict[str, Any]]) -> None:
    _, report = demo
    assert set(report["families"]) == set(ALL)
    absent = {name for name, series in report["families"].items() if series == 0}
    third_party = {name for name, metric in ALL.items() if metric.third_party}
    sizes = {HTTP_SERVER_REQUEST_BODY_SIZE.name, HTTP_SERVER_RESPONSE_BODY_SIZE.name}
    # Calm traffic has no incident and no listed address, and seldom an address with many failures.
    attacks = {
        TRUST_SECURITY_INCIDENTS.name,
        TRUST_SECURITY_THREAT_MATCHES.name,
        TRUST_SECURITY_AUTH_FAILURES.name,
    }
    assert absent - attacks == third_party | sizes | {metric.name for metric in NOT_OF_THE_EXAMPLE}


def test_no_process_is_left(demo: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = demo
    assert processes_of(folder) == []


def test_without_go_the_demo_reads_the_services_own_endpoint(tmp_path: Path) -> None:
    empty = str(tmp_path / "empty")
    output, report = _demo(tmp_path, 10, PATH=empty, XDG_CACHE_HOME=empty)
    assert "without Collector and Prometheus" in output
    assert report["read_from"] == "the in-process endpoint"
    assert report["prometheus"] == report["expected_totals"]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[str]:
    """URL of the Prometheus of a demo that has just opened."""
    demo = _started(tmp_path)
    assert demo.stdout is not None
    url = ""
    for line in demo.stdout:
        if line.split()[:1] == ["prometheus"]:
            url = line.split()[1]
        if "operations, until Ctrl-C" in line:
            break
    yield url
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=90)


def test_the_demo_opens_calm_with_an_hour_of_data(opened: str) -> None:
    time.sleep(_CALM_SECONDS)
    with PanelQueries(opened, "demo") as asked:
        (watchdog,) = asked.at('max_over_time(ALERTS{alertstate="firing"}[10m])').series
        assert watchdog.labels["alertname"] == "TrustWatchdog"
        graphs = [query for query in queries() if query.key.startswith("operational ") and not query.instant]
        points = {
            query.key: max((len(each.values) for each in asked.ask(query, _HOUR).series), default=0) for query in graphs
        }
    filled = {key for key, number in points.items() if number > 0.9 * _HOUR / STEP_SECONDS}
    assert len(filled) > 20, points


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_however_the_demo_ends(tmp_path: Path, ending: int) -> None:
    demo = _started(tmp_path)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "operations, until Ctrl-C" in line:
            break
    # Four components of the stack with one supervisor, and service and Vault with one supervisor each.
    family = psutil.Process(demo.pid).children(recursive=True)
    assert len(family) == 9
    time.sleep(3)
    demo.send_signal(ending)
    output, _ = demo.communicate(timeout=90)
    killed = ending == signal.SIGKILL
    assert demo.returncode == (-ending if killed else 0)
    assert ("equal the generated events" in output) == (not killed)
    eventually(lambda: [process for process in family if process.is_running()], [])
