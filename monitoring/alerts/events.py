"""The number of events of a counter, with the first one."""

from __future__ import annotations

import textwrap
from typing import Final

from trust_otel.semconv.definitions import Metric

SERVICE: Final = ("deployment_environment_name", "service_namespace", "service_name")
"""The labels of a service."""


def events(metric: Metric, window: str, by: tuple[str, ...] = (), matchers: str = "") -> str:
    """PromQL for the number of events of each service within a window.

    `increase()` misses the events that a counter already has when Prometheus first sees it, unless Prometheus stores
    the start time of series (created-timestamp-zero-ingestion). A counter that did not exist one window ago counts with
    its whole value if Prometheus saw its instance before it, or from the start of the process. An old counter that
    Prometheus begins to scrape, or that it finds after its own downtime, does not.

    Args:
        metric: A counter, or a histogram whose observations are counted.
        window: A duration, such as `5m`.
        by: Labels of the result besides those of the service.
        matchers: Label matchers of the events, such as `trust_outcome="error"`.
    """
    name = metric.prometheus_name + ("_count" if metric.instrument == "histogram" else "")
    chosen = f"{name}{{{matchers}}}" if matchers else name
    return _within(metric, name, window, by, chosen, f"increase({chosen}[{window}])")


def later_than(metric: Metric, boundary: int, window: str, by: tuple[str, ...] = ()) -> str:
    """PromQL for the number of observations of each service above a bucket boundary within a window, as `events`.

    Args:
        metric: A histogram.
        boundary: One of its bucket boundaries.
        window: A duration, such as `5m`.
        by: Labels of the result besides those of the service.
    """
    count = f"{metric.prometheus_name}_count"
    # Some clients write 3600.0.
    within = f'{metric.prometheus_name}_bucket{{le=~"{boundary}|{boundary}.0"}}'
    # increase() estimates both, so that their difference can be above 0 although it should be 0.
    grown = f"increase({count}[{window}]) - sum without (le) (increase({within}[{window}])) > 0.5"
    return _within(metric, count, window, by, f"{count} - sum without (le) ({within})", grown)


def _within(metric: Metric, name: str, window: str, by: tuple[str, ...], born: str, grown: str) -> str:
    """The sum of `born` for counters that did not exist one window ago, and of `grown` for the others."""
    labels = ", ".join([*(attribute.label for attribute in metric.attributes), "service_instance_id"])
    # Matchers on one side are enough: without them the other side has more series, but no more that match.
    return textwrap.dedent(f"""
        sum by ({", ".join([*SERVICE, *by])}) (
          (
            {born} unless {name} offset {window}
            and
            count_over_time({name}[{window}])
            < ignoring ({labels}) group_left ()
            (max without (service_instance_id) (count_over_time(trust_otel_instance_up[{window}])) + target:trust_otel_instance:seen_from_start1h)
          )
          or
          {grown}
        )
    """).strip()
