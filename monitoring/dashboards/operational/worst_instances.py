"""The instances of the services: the worst ones."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table

from monitoring.dashboards.operational.constants import ERROR_LIMIT, LATENCY_LIMIT
from monitoring.dashboards.operational.dependencies import pool_share_by_instance
from monitoring.dashboards.operational.requests import errors_by_instance, mean_latency_by_instance
from monitoring.dashboards.panels import Column, PanelText, table_panel
from monitoring.dashboards.queries import INSTANCE, median, named, series, total
from monitoring.dashboards.thresholds import NONE_ALLOWED, rising
from trust_otel.semconv.metrics import (
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    TRUST_DEPENDENCY_UP,
)

_SHOWN: Final = 5
_KEYS: Final = {"instance_name": "Instance"}


def worst_instances() -> table.Panel:
    """The instances with the highest values of each signal."""
    memory = total(series(PROCESS_MEMORY_USAGE), *INSTANCE)
    compared = f"{memory} / on (service_name) group_left () ({median(memory, 'service_name')} > 0)"
    processors = total(f"rate({series(PROCESS_CPU_TIME)}[5m])", *INSTANCE)
    waiting = total(series(DB_CLIENT_CONNECTION_PENDING_REQUESTS), *INSTANCE)
    down = f"count by ({', '.join(INSTANCE)}) ({series(TRUST_DEPENDENCY_UP)} == 0)"
    up = f"count by ({', '.join(INSTANCE)}) ({series(TRUST_DEPENDENCY_UP)}) * 0"

    def worst(expression: str) -> str:
        return f"topk({_SHOWN}, {expression})"

    return table_panel(
        PanelText(
            35,
            "Worst instances",
            f"The {_SHOWN} instances with the highest value of each column, over 5 minutes; a dash is shown in the "
            "columns in which an instance is not among them. Latency is the mean, CPU is "
            "in cores, memory is compared with the median instance of the same service, and the pool is the share of "
            "database connections in use.",
            "One instance is red in several columns: remove it from the load balancer or restart it, and look for the "
            "cause. All instances of a service are red: open Error rate and Dependency health.",
            "No service reports data in the selected time range.",
        ),
        _KEYS,
        (
            Column(
                "Errors",
                worst(errors_by_instance("5m")),
                "percentunit",
                levels=rising(yellow=ERROR_LIMIT / 5, red=ERROR_LIMIT),
            ),
            Column(
                "Latency",
                worst(mean_latency_by_instance("5m")),
                "s",
                levels=rising(yellow=LATENCY_LIMIT / 4, red=LATENCY_LIMIT),
            ),
            Column("CPU", worst(named(processors)), "short"),
            Column("Memory", worst(named(memory)), "bytes"),
            Column("vs. median", worst(named(compared)), "percentunit", levels=rising(yellow=1.5, red=3)),
            Column("Pool", worst(pool_share_by_instance()), "percentunit", levels=rising(yellow=0.8, red=1)),
            Column("Waiting", worst(named(waiting)), "none", levels=NONE_ALLOWED),
            Column("Dependencies down", worst(named(f"{down} or {up}")), "none", levels=NONE_ALLOWED),
        ),
        sort="Errors",
        key_widths={"Instance": 340},
        height=9,
    )
