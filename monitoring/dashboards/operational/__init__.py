"""The operational dashboard: for platform engineers and whoever is on call."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.operational.dependencies import (
    caches,
    dependencies,
    dependency_checks,
    operations,
    pools,
    servers,
    transactions,
)
from monitoring.dashboards.operational.grpc import grpc, grpc_calls, streams
from monitoring.dashboards.operational.health import alert_list, alert_status, health
from monitoring.dashboards.operational.requests import budgets, error_rate, requests, routes, sessions
from monitoring.dashboards.operational.resources import hosts, kubernetes, memory, processes, restarts, thread_pools
from monitoring.dashboards.template import OPERATIONAL, fill, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    frame = new_dashboard(
        OPERATIONAL,
        "Trust service: operations",
        "Is the service well, and if not, where does it hurt? For platform engineers and whoever is on call.",
    )
    return fill(
        frame,
        {
            "Health": (health(), alert_status(), alert_list()),
            "Requests": (requests(), error_rate(), routes(), budgets()),
            "gRPC": (grpc(), grpc_calls(), streams()),
            "Dependencies": (dependencies(), dependency_checks(), sessions()),
            "Database and cache": (pools(), operations(), transactions(), servers(), caches()),
            "Resources": (hosts(), processes(), memory(), thread_pools(), kubernetes(), restarts()),
        },
    )
