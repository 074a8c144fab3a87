"""Panel ids and alert thresholds of the operational dashboard."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.thresholds import limit
from trust_otel.semconv.metrics import TRUST_CERTIFICATE_NOT_AFTER

HEALTH, HTTP, ERRORS, DATABASE, GRPC, SESSIONS, RESOURCES, DEPENDENCIES, ALERTS = range(1, 10)

ERROR_LIMIT: Final = limit("TrustServiceHighErrorRate", "service:http_server_errors_per_request:ratio_rate2m")
LATENCY_LIMIT: Final = limit("TrustServiceHighLatency", "service:http_server_request_duration_seconds:p95_rate2m")
GRPC_ERROR_LIMIT: Final = limit("TrustGrpcHighErrorRate", "service_method:rpc_server_errors_per_call:ratio_rate2m")
GRPC_LATENCY_LIMIT: Final = limit("TrustGrpcHighLatency", "service_method:rpc_server_call_duration_seconds:p95_rate2m")
SLOW_LIMIT: Final = limit(
    "TrustDatabaseSlowQueries", "service:trust_db_client_slow_operations_per_operation:ratio_rate5m"
)
LAG_LIMIT: Final = limit("TrustDatabaseReplicationLag", "pg_replication_lag_seconds")
MEMORY_LIMIT: Final = limit("TrustHostMemoryHigh", "node_memory_MemAvailable_bytes")
RESTART_LIMIT: Final = limit("TrustContainerRestartLoop", "kube_pod_container_status_restarts_total")
EXPIRY_LIMITS: Final = {
    severity: limit("TrustCertificateExpiring", TRUST_CERTIFICATE_NOT_AFTER.prometheus_name, severity)
    for severity in ("critical", "warning")
}

NO_HTTP: Final = "No HTTP requests were recorded in the selected time range."
NO_GRPC: Final = "No gRPC calls were recorded in the selected time range."
NO_KUBERNETES: Final = "kube-state-metrics is not scraped."
