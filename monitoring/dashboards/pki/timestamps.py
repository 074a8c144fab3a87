"""Timestamps (RFC 3161) and the clock that they are made with."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, table_panel, time_series_panel
from monitoring.dashboards.pki.constants import (
    ACCURACY,
    BY_SERVICE,
    CLOCK_LIMITS,
    CLOCKS,
    OFFSETS,
    SERVICE_KEY,
    SERVICE_WIDTH,
    TIMESTAMP_RATE,
    TIMESTAMPS,
)
from monitoring.dashboards.queries import (
    highest,
    increase,
    quantile,
    rate,
    series,
    total,
    with_instance_name,
    zero_if_recorded,
)
from monitoring.dashboards.thresholds import NONE_ALLOWED, rising
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_OPERATION_DURATION,
    TRUST_CLOCK_OFFSET,
    TRUST_CLOCK_ROUND_TRIP,
    TRUST_TIMESTAMP_ACCURACY,
    TRUST_TIMESTAMP_RESPONSES,
)

_STATUS: Final = "trust_timestamp_status"
_FAILURE: Final = "trust_timestamp_failure"
_FAILED: Final = f'{_FAILURE}=~"timeNotAvailable|systemFailure"'
_ERROR: Final = ('trust_certificate_operation="timestamp"', 'trust_outcome="error"')
_MANY: Final = 30
_ALLOWED: Final = 1
"""Seconds: the accuracy that ETSI EN 319 421 requires at least."""
_NO_TIMESTAMPS: Final = "No service issues timestamps. Call record_timestamp_response"
_NO_CLOCK: Final = "No service compares its clock with a time server. Set TRUST_OTEL_TIME_SERVERS"

OFFSET: Final = f"clamp_min(abs({series(TRUST_CLOCK_OFFSET)}) - {series(TRUST_CLOCK_ROUND_TRIP)} / 2, 0)"
"""What the clock of each instance differs at least from each time server: half of the round trip is the error."""


def failed(over: str) -> str:
    """Requests for a timestamp that failed within a window, by service; 0 if timestamps are recorded."""
    refused = total(increase(TRUST_TIMESTAMP_RESPONSES, _FAILED, over=over), *BY_SERVICE)
    errors = total(increase(TRUST_CERTIFICATE_OPERATION_DURATION, *_ERROR, part="_count", over=over), *BY_SERVICE)
    refused_or_none = f"({refused} or {zero_if_recorded(TRUST_TIMESTAMP_RESPONSES, by=BY_SERVICE)})"
    return f"({refused_or_none} + {errors} or {refused_or_none} or {errors})"


def timestamps() -> table.Panel:
    """Responses by status and reason."""
    by = (*BY_SERVICE, _STATUS, _FAILURE)

    def named(query: str) -> str:
        return f'label_replace({query}, "{_FAILURE}", "-", "{_FAILURE}", "")'

    def errors(over: str) -> str:
        found = total(increase(TRUST_CERTIFICATE_OPERATION_DURATION, *_ERROR, part="_count", over=over), *BY_SERVICE)
        with_status = f'label_replace({found}, "{_STATUS}", "error", "", "")'
        return f'label_replace({with_status}, "{_FAILURE}", "-", "", "")'

    all_responses = named(total(increase(TRUST_TIMESTAMP_RESPONSES), *by))
    recent = named(total(increase(TRUST_TIMESTAMP_RESPONSES, _FAILED, over="5m"), *by))
    return table_panel(
        PanelText(
            TIMESTAMPS,
            "Timestamp responses",
            "Does the timestamping authority issue what it is asked for, and why not? Responses in the selected time "
            "range by status and reason (RFC 3161, 2.4.2). Failures in the last 5 minutes: timeNotAvailable, "
            "systemFailure and errors, which are never the fault of the request.",
            "timeNotAvailable: check Clock offset and the time servers. systemFailure or error: check the key of the "
            "authority. Other reasons are faults of requests: tell the client.",
            _NO_TIMESTAMPS + ".",
            alerts=("TrustTimestampFailures",),
        ),
        {**SERVICE_KEY, _STATUS: "Status", _FAILURE: "Reason"},
        (
            Column("Responses", f"round({all_responses} or {errors('$__range')})", "none"),
            Column("Failures (5 min)", f"round({recent} or {errors('5m')})", "none", levels=NONE_ALLOWED),
        ),
        sort="Failures (5 min)",
        key_widths={**SERVICE_WIDTH, "Status": 130},
        height=7,
    )


def timestamp_rate() -> timeseries.Panel:
    """Responses over time."""
    return time_series_panel(
        PanelText(
            TIMESTAMP_RATE,
            "Timestamps over time",
            "How many timestamps are issued and refused? Responses per second by status.",
            "None where there are usually some: check the service, and whether clients use another authority.",
            _NO_TIMESTAMPS,
        ),
        "reqps",
        (Query("{{service_name}} {{" + _STATUS + "}}", total(rate(TRUST_TIMESTAMP_RESPONSES), *BY_SERVICE, _STATUS)),),
        highest_first=True,
    )


def accuracy() -> timeseries.Panel:
    """The accuracy that timestamps state."""
    return time_series_panel(
        PanelText(
            ACCURACY,
            "Stated accuracy (p99)",
            "Which accuracy do the timestamps promise? 99th percentile of the accuracy in the issued timestamps, with "
            "the 1 s that ETSI EN 319 421 requires at least.",
            "Above 1 s: the authority must not issue these timestamps; correct its configuration.",
            "No timestamp states its accuracy",
        ),
        "s",
        (Query("{{service_name}}", quantile(0.99, TRUST_TIMESTAMP_ACCURACY, by=BY_SERVICE)),),
        levels=rising(red=_ALLOWED),
    )


def clocks() -> table.Panel:
    """The offset of the clocks that are worst."""
    keys = {**SERVICE_KEY, "instance_name": "Instance", "trust_clock_server": "Time server"}
    by = ", ".join(keys)

    def of_instance(expression: str) -> str:
        return f"max by ({by}) ({with_instance_name(expression)})"

    worst = f"topk({_MANY}, {of_instance(OFFSET)})"
    return table_panel(
        PanelText(
            CLOCKS,
            "Clock offset",
            f"Is the clock right with which timestamps are made? Each instance against each time server, the {_MANY} "
            "worst. Off by at least: the offset less half of the round trip, which is the error of the measurement.",
            "Red: stop issuing timestamps from this instance, and check chrony or the NTP client of its host. All "
            "instances against one server: that server is wrong.",
            _NO_CLOCK + ".",
            alerts=("TrustClockOffset",),
        ),
        keys,
        (
            Column(
                "Off by at least",
                worst,
                "s",
                levels=rising(yellow=CLOCK_LIMITS["warning"], red=CLOCK_LIMITS["critical"]),
                width=110,
            ),
            Column("Offset", f"{of_instance(series(TRUST_CLOCK_OFFSET))} and {worst}", "s"),
            Column("Round trip", f"{of_instance(series(TRUST_CLOCK_ROUND_TRIP))} and {worst}", "s", width=90),
        ),
        sort="Off by at least",
        key_widths={"Service": 150, "Instance": 340},
    )


def offsets() -> timeseries.Panel:
    """The clocks that are furthest off, over time."""
    by_instance = f"max by (instance_name, trust_clock_server) ({with_instance_name(OFFSET)})"
    return time_series_panel(
        PanelText(
            OFFSETS,
            "Clock offset over time",
            "Does a clock drift? What the five worst clocks differ at least from a time server, with the thresholds of "
            "the alert.",
            "A straight slope: the host no longer synchronises its clock. A step: somebody or a virtual machine has "
            "set it.",
            _NO_CLOCK,
        ),
        "s",
        (Query("{{instance_name}} {{trust_clock_server}}", highest(by_instance)),),
        levels=rising(yellow=CLOCK_LIMITS["warning"], red=CLOCK_LIMITS["critical"]),
        highest_first=True,
        width=24,
    )
