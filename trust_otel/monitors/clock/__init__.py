"""Compares the clock of the host with the time servers in TRUST_OTEL_TIME_SERVERS."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.background import Periodic
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.clock.sntp import TIMEOUT, TimeServerError, measure
from trust_otel.setting_lists import TimeServer

_KIND: Final = "clock"


class ClockInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Asks time servers on a background thread.

    `instrument(metrics=...)` sets the `TrustServiceMetrics` that records; by default that of the process.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._recorder = recorder_of(kwargs.get("metrics"))
        wanted = settings.current()
        self._servers = wanted.time_servers
        self._stopped = False
        self._periodic = Periodic("trust-otel-clock", wanted.time_server_interval, self._check)
        self._periodic.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._stopped = True
        self._periodic.stop(TIMEOUT)
        for server in self._servers:
            self._recorder.clock.remove_clock_offset(server.name)
            self._recorder.sources.remove_source(server.name, kind=_KIND)

    def _check(self) -> None:
        for server, problem in check_servers(self._servers, self._recorder):
            if self._stopped:
                return
            self._recorder.sources.record_source(server.name, kind=_KIND, problem=problem)


def check_servers(servers: Iterable[TimeServer], recorder: Recorder) -> Iterable[tuple[TimeServer, str | None]]:
    """Ask each server once, and record its answer; yields the problem of each, `None` if it gave a time."""
    for server in servers:
        try:
            found = measure(server.host, server.port)
        except TimeServerError as error:
            # An old offset would hide that nothing is compared any more.
            recorder.clock.remove_clock_offset(server.name)
            yield server, str(error)
        else:
            recorder.clock.set_clock_offset(server.name, offset=found.offset, round_trip=found.round_trip)
            yield server, None
