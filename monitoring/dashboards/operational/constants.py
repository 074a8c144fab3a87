"""Panel ids and alert thresholds of the operational dashboard."""

from __future__ import annotations

from typing import Final

from monitoring.alerts import threshold

HEALTH, HTTP, ERRORS, DATABASE, GRPC, SESSIONS, RESOURCES, DEPENDENCIES, ALERTS = range(1, 10)
INSTANCES, CERTIFICATES, CERTIFICATE_OPERATIONS, REVOCATION_LISTS, CONNECTION_FAILURES, FILE_SYSTEMS, NETWORK = range(
    36, 43
)

ERROR_LIMIT: Final = threshold("TrustServiceHighErrorRate")
LATENCY_LIMIT: Final = threshold("TrustServiceHighLatency")
GRPC_ERROR_LIMIT: Final = threshold("TrustGrpcHighErrorRate")
GRPC_LATENCY_LIMIT: Final = threshold("TrustGrpcHighLatency")
SLOW_LIMIT: Final = threshold("TrustDatabaseSlowQueries")
LAG_LIMIT: Final = threshold("TrustDatabaseReplicationLag")
MEMORY_LIMIT: Final = threshold("TrustHostMemoryHigh")
CONTAINER_MEMORY_LIMIT: Final = threshold("TrustContainerMemoryHigh")
DISK_LIMIT: Final = threshold("TrustHostDiskSpaceLow")
NETWORK_LIMIT: Final = threshold("TrustNetworkProblems")
FAILURE_LIMIT: Final = threshold("TrustCertificateValidationFailures")
RESTART_LIMIT: Final = threshold("TrustContainerRestartLoop")
EXPIRY_LIMITS: Final = {
    severity: threshold("TrustCertificateExpiring", severity) for severity in ("critical", "warning")
}

OF_CRITICAL_ROUTES: Final = "<<critical_routes  of the critical routes>>"
"""Follows the HTTP latency that alerts: nothing, unless the site lists critical routes."""
NO_HTTP: Final = "No HTTP requests were recorded in the selected time range."
NO_GRPC: Final = "No gRPC calls were recorded in the selected time range."
NO_KUBERNETES: Final = "kube-state-metrics is not scraped."
