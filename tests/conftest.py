"""Shared fixtures: recorded metrics, and programs started by `opentelemetry-instrument`."""

# In forked processes, the SDK 1.45.2 waits forever for a lock of this module if a provider existed before its import.
import concurrent.futures.thread  # noqa: F401
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from prometheus_client.parser import text_string_to_metric_families

from trust_otel import TrustServiceMetrics
from trust_otel.configurator import make_views
from trust_otel.metrics import recorder_of
from trust_otel.semconv.metrics import ALL
from trust_otel.settings import Settings
from trust_otel.text import valid_text

_DEFAULTS = Settings.from_environment({})

# The finalizer of a grpc.aio server waits for a thread that a forked process does not have.
os.register_at_fork(after_in_child=gc.freeze)


def pytest_collection_finish() -> None:
    """Leave the collected tests out of garbage collections, which many tests trigger."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replace lone surrogates in captured output, which pytest-xdist cannot send."""
    report = yield
    report.sections = [(name, valid_text(content)) for name, content in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def _subprocesses_handle_ctrl_c() -> None:
    """Restore SIGINT if it is ignored, as in a background job of a shell: subprocesses inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Recording:
    """`TrustServiceMetrics` with its own provider, and access to the recorded series."""

    def __init__(self, **limits: Any) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider(
            [self._reader],
            Resource({"service.name": "test"}),
            views=make_views(ALL.values(), _DEFAULTS.limits),
            shutdown_on_exit=False,
        )
        self.metrics = TrustServiceMetrics(self.provider, limits=replace(_DEFAULTS.limits, **limits))
        self.recorder = recorder_of(self.metrics)

    def collect(self) -> MetricsData:
        data = self._reader.get_metrics_data()
        assert data is not None
        return data

    def names(self) -> set[str]:
        """Names of all metrics with at least one series."""
        return {metric.name for metric in self._metrics()}

    def series(self, name: str, labels: Mapping[str, object] | None = None) -> list[tuple[dict[str, Any], Any]]:
        """Labels and data point of each series of a metric; only series with the given labels."""
        wanted = (labels or {}).items()
        return [
            (dict(point.attributes), point)
            for metric in self._metrics()
            if metric.name == name
            for point in metric.data.data_points
            if wanted <= dict(point.attributes).items()
        ]

    def labels(self, name: str) -> list[dict[str, Any]]:
        """Labels of each series of a metric."""
        return [labels for labels, _ in self.series(name)]

    def value(self, name: str, labels: Mapping[str, object] | None = None) -> float:
        """Sum of the values (for histograms: of the counts) of the series with the given labels."""
        return sum(
            point.count if hasattr(point, "bucket_counts") else point.value for _, point in self.series(name, labels)
        )

    def dropped(self) -> dict[str, float]:
        """Values of `trust.otel.dropped` by reason, except zeros."""
        return {labels["reason"]: point.value for labels, point in self.series("trust.otel.dropped") if point.value}

    def overflowed(self) -> dict[str, float]:
        """Values of `trust.otel.overflow` by metric, except zeros."""
        return {labels["metric"]: point.value for labels, point in self.series("trust.otel.overflow") if point.value}

    def _metrics(self) -> Iterator[Any]:
        for resource in self.collect().resource_metrics:
            for scope in resource.scope_metrics:
                yield from scope.metrics


@pytest.fixture
def recording() -> Iterator[Recording]:
    made = Recording()
    yield made
    made.provider.shutdown()


@pytest.fixture
def record() -> Iterator[Callable[..., Recording]]:
    """Creates a recording with the given limits in place of the defaults."""
    made: list[Recording] = []

    def make(**limits: Any) -> Recording:
        made.append(Recording(**limits))
        return made[-1]

    yield make
    for recording in made:
        recording.provider.shutdown()


def parsed(exposition: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples of a Prometheus exposition by name and labels; asserts that there are no duplicates."""
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"duplicate sample: {key}"
            samples[key] = sample.value
    return samples


@pytest.fixture(name="parsed")
def parsed_fixture() -> Callable[[str], dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
    return parsed


_INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


@pytest.fixture
def launcher() -> tuple[list[str], dict[str, str]]:
    """Command prefix that starts a program with `opentelemetry-instrument`, and a minimal environment for it."""
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable]
    environment = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    return command, {**environment, "OTEL_SERVICE_NAME": "test", "OTEL_PYTHON_DISTRO": "trust_distro"}


@pytest.fixture
def launched(
    launcher: tuple[list[str], dict[str, str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program under `opentelemetry-instrument` and returns its result."""

    def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command, environment = launcher
        script = tmp_path / "program.py"
        script.write_text(program)
        return subprocess.run(
            [*command, str(script)],
            env={**environment, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run
