"""The operational dashboard, for platform engineers and on-call."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.operational.certificates import certificate_operations, certificates, revocation_lists
from monitoring.dashboards.operational.dependencies import (
    connection_failures,
    connection_pools,
    database_operations,
    database_transactions,
    dependency_check_latency,
    dependency_health,
    postgresql_servers,
    redis_servers,
)
from monitoring.dashboards.operational.grpc import grpc_calls, grpc_messages, grpc_methods
from monitoring.dashboards.operational.health import alert_status, instances, service_health
from monitoring.dashboards.operational.requests import (
    active_sessions,
    error_budgets,
    error_rate,
    request_rate_and_latency,
    routes,
)
from monitoring.dashboards.operational.resources import (
    containers,
    cpu_usage,
    file_systems,
    host_resources,
    memory_usage,
    network_errors,
    node_conditions,
    thread_pools,
)
from monitoring.dashboards.operational.worst_instances import worst_instances
from monitoring.dashboards.template import OPERATIONAL, add_rows, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    empty = new_dashboard(
        OPERATIONAL,
        "Trust service: operations",
        "Service health, requests, dependencies and resource usage. For platform engineers, SRE and on-call.",
    )
    return add_rows(
        empty,
        {
            "Health": (service_health(), alert_status(), instances()),
            "HTTP requests": (request_rate_and_latency(), error_rate(), routes(), error_budgets()),
            "Instances": (worst_instances(),),
            "gRPC": (grpc_methods(), grpc_calls(), grpc_messages()),
            "Dependencies and sessions": (dependency_health(), dependency_check_latency(), active_sessions()),
            "Database and cache": (
                connection_pools(),
                connection_failures(),
                database_operations(),
                database_transactions(),
                postgresql_servers(),
                redis_servers(),
            ),
            "Certificates": (certificates(), revocation_lists(), certificate_operations()),
            "Resources": (
                host_resources(),
                file_systems(),
                cpu_usage(),
                memory_usage(),
                thread_pools(),
                network_errors(),
                node_conditions(),
                containers(),
            ),
        },
    )
