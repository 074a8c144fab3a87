"""A small vocabulary of series for the tests of the checks."""

import math
from collections.abc import Mapping

from tools.checks.promql import parse
from tools.checks.vocabulary import Bounds, Kind, Label, Series, Vocabulary

_METHODS = Label(values=frozenset({"GET", "POST"}))
_CODES = Label(always=False, values=frozenset({"200", "404", "500", "503"}))
_SERVICE = {
    "service_name": Label(),
    "service_instance_id": Label(),
    "deployment_environment_name": Label(always=False),
    "service_namespace": Label(always=False),
}


def series(
    name: str,
    kind: Kind,
    labels: Mapping[str, Label],
    *,
    high: float = math.inf,
    interval: float = 15,
    buckets: tuple[float, ...] = (),
    from_zero: bool = True,
) -> Series:
    return Series(name, kind, labels, interval, Bounds(0, high), buckets, from_zero)


def recorded(name: str, expression: str, labels: Mapping[str, Label]) -> Series:
    return Series(name, "gauge", labels, 10, Bounds(), recordings=(({}, parse(expression)),))


_BUCKETS = Label(values=frozenset({"0.5", "2", "2.0", "+Inf"}))
_NAME = {"service_name": Label()}

VOCABULARY = Vocabulary(
    series={
        each.name: each
        for each in (
            series("requests_total", "counter", {**_SERVICE, "method": _METHODS, "code": _CODES}),
            series("duration_seconds_count", "counter", {**_SERVICE, "method": _METHODS}),
            series("duration_seconds_sum", "counter", {**_SERVICE, "method": _METHODS}),
            series(
                "duration_seconds_bucket",
                "counter",
                {**_SERVICE, "method": _METHODS, "le": _BUCKETS},
                buckets=(0.5, 2),
            ),
            series("healthy", "gauge", {**_SERVICE, "target": Label()}, high=1),
            series("sessions", "gauge", _SERVICE),
            series("used_bytes", "gauge", {"instance": Label(), "disk": Label()}, interval=10),
            series("size_bytes", "gauge", {"instance": Label(), "disk": Label()}, interval=10),
            series("info", "gauge", {"instance": Label(), "version": Label()}, interval=10),
            series("lost_total", "counter", {"instance": Label()}, interval=10, from_zero=False),
            recorded("service:requests:rate5m", "sum by (service_name) (rate(requests_total[5m]))", _NAME),
            recorded(
                "service:errors_per_request:ratio_rate5m",
                'sum by (service_name) (rate(requests_total{code=~"5.."}[5m])) / (service:requests:rate5m > 0)',
                _NAME,
            ),
        )
    },
    evaluation_interval=10,
    determined={"service_instance_id": frozenset(_SERVICE), "instance": frozenset({"job"})},
)
