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
    labels = ", ".join([*(attribute.label for attribute in metric.attributes), "service_instance_id"])
    # Matchers on one side are enough: without them the other side has more series, but no more that match.
    return textwrap.dedent(f"""
        sum by ({", ".join([*SERVICE, *by])}) (
          (
            {chosen} unless {name} offset {window}
            and
            count_over_time({name}[{window}])
            < ignoring ({labels}) group_left ()
            (max without (service_instance_id) (count_over_time(trust_otel_instance_up[{window}])) + target:trust_otel_instance:seen_from_start1h)
          )
          or
          increase({chosen}[{window}])
        )
    """).strip()
