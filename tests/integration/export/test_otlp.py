"""A redirect of an OTLP endpoint is logged as a failure of each signal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.otlp_endpoint import Response, endpoint
from trust_otel.export.otlp import SIGNALS

_FILE = """
file_format: "1.0"
meter_provider:
  readers: [{periodic: {exporter: {otlp_http: {endpoint: "ADDRESS/v1/metrics"}}}}]
tracer_provider:
  processors: [{batch: {exporter: {otlp_http: {endpoint: "ADDRESS/v1/traces"}}}}]
logger_provider:
  processors: [{batch: {exporter: {otlp_http: {endpoint: "ADDRESS/v1/logs"}}}}]
"""


_PROGRAM = """
from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, get_logger
metrics.get_meter("m").create_counter("c").add(1)
trace.get_tracer("t").start_span("s").end()
get_logger("l").emit(LogRecord(body="b"))
"""


@pytest.mark.parametrize("file", [False, True])
def test_every_signal_is_checked_in_a_service(launched: Callable[..., Any], tmp_path: Path, file: bool) -> None:
    with endpoint(Response(302, {"Location": "https://login.test/"})) as server:
        chosen = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url} | {
            f"OTEL_{signal.upper()}_EXPORTER": "otlp" for signal in SIGNALS
        }
        if file:
            (tmp_path / "otel.yaml").write_text(_FILE.replace("ADDRESS", server.url))
            chosen = {"OTEL_CONFIG_FILE": str(tmp_path / "otel.yaml")}
        done = launched(_PROGRAM, **chosen)
    assert done.returncode == 0
    for kind in ("metrics", "spans", "log records"):
        assert done.stderr.count(f"the last export of {kind} failed") == 1, done.stderr
    assert done.stderr.count("a redirect to login.test") == 3
