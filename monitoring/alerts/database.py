"""Databases and other dependencies."""

from __future__ import annotations

from textwrap import indent
from typing import Final

from monitoring.alerts.declaration import Alert, Group, Panel, number, ratio, seconds
from monitoring.alerts.events import events
from trust_otel.semconv.metrics import DB_CLIENT_CONNECTION_CREATE_TIME, DB_CLIENT_CONNECTION_TIMEOUTS

_POOL: Final = "deployment_environment_name, service_namespace, service_name, db_client_connection_pool_name"

_DOWN: Final = """\
min by (deployment_environment_name, service_namespace, service_name, trust_dependency_name) (
  last_over_time(trust_dependency_up{trust_dependency_type="database"}[1m])
) == 0"""
_OF_ONE_INSTANCE: Final = events(
    DB_CLIENT_CONNECTION_CREATE_TIME, "2m", ("service_instance_id", "db_client_connection_pool_name"), 'error_type!=""'
)
_FAILED_CONNECTIONS: Final = f"max by ({_POOL}) (\n{indent(_OF_ONE_INSTANCE, '  ')}\n)"
_TIMEOUTS: Final = events(DB_CLIENT_CONNECTION_TIMEOUTS, "5m", ("db_client_connection_pool_name",))
_WAITING: Final = f"""\
max by ({_POOL}) (
  min_over_time(db_client_connection_pending_requests[1m])
)"""

DATABASE_CONNECTIONS_FAILED = Alert(
    name="TrustDatabaseConnectionsFailed",
    reason="""
        The health checks of the service, or its connection pool, which needs no configuration. Three failures of one
        instance, because a server that restarts refuses one or two connections of each.
    """,
    expression=f"{_DOWN}\nor\n{_FAILED_CONNECTIONS} >= $minimum",
    minimum=number(3),
    wait="1m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="dependency",
    panel=Panel("operational", 40),
    summary="{{ $labels.service_name }} cannot connect to its database.",
    description="""
        {{ if $labels.trust_dependency_name }}Database {{ $labels.trust_dependency_name }} does not answer the checks of
        {{ $labels.service_name }}.{{ else }}An instance of {{ $labels.service_name }} failed to open {{ $value | printf "%.0f" }} connections of pool {{ $labels.db_client_connection_pool_name }} within 2 minutes.{{ end }}
    """,
)

DATABASE_SLOW_QUERIES = Alert(
    name="TrustDatabaseSlowQueries",
    reason="""
        TRUST_OTEL_DB_SLOW_SECONDS sets what counts as slow (default 0.5 s). At least five slow operations.
    """,
    expression="""
        service:trust_db_client_slow_operations_per_operation:ratio_rate5m > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name, db_system_name, db_namespace) (
          increase(trust_db_client_slow_operations_total[5m])
        ) >= $minimum
    """,
    threshold=ratio(0.05),
    minimum=number(5),
    wait="2m",
    keep_firing="5m",
    severity="warning",
    team="platform",
    category="database",
    panel=Panel("operational", 26),
    summary="Queries of {{ $labels.service_name }} are slow.",
    description="""
        {{ $value | humanizePercentage }} of the operations on {{ $labels.db_system_name }} {{ $labels.db_namespace }} take longer than TRUST_OTEL_DB_SLOW_SECONDS (threshold $threshold).
    """,
)

DATABASE_CONNECTION_PROBLEMS = Alert(
    name="TrustDatabaseConnectionProblems",
    reason="""
        Three requests timed out waiting for a connection within 5 minutes, or requests of one instance were waiting
        at every export of a minute. A single timeout is a pool that was full for a moment. Not the sum over the
        instances: of fifty, some have a request waiting at any time.
    """,
    expression=f"{_TIMEOUTS} >= $minimum\nor\n{_WAITING} > 0",
    minimum=number(3),
    wait="1m",
    keep_firing="5m",
    severity="warning",
    team="platform",
    category="database",
    panel=Panel("operational", 4),
    summary="Requests of {{ $labels.service_name }} wait for a database connection.",
    description="""
        Pool {{ $labels.db_client_connection_pool_name }} of {{ $labels.service_name }} has no free connection: {{ $value | printf "%.0f" }} requests are waiting or have timed out.
    """,
)

DATABASE_REPLICATION_LAG = Alert(
    name="TrustDatabaseReplicationLag",
    reason="""
        30 s of data may be lost in a failover, and reports may be that old. The lag is the age of the last replayed
        commit, so after an idle hour the next commit shows a lag of an hour for a moment; 1 minute skips it.
    """,
    expression="""
        max by (job, instance) (pg_replication_lag_seconds) > $threshold
    """,
    threshold=seconds(30),
    wait="1m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="database",
    service="postgresql",
    panel=Panel("operational", 28),
    summary="A PostgreSQL replica lags behind its primary.",
    description="""
        The replication lag reported by {{ $labels.instance }} is {{ $value | humanizeDuration }} (threshold $threshold).
    """,
)

DEPENDENCY_DOWN = Alert(
    name="TrustDependencyDown",
    reason="""
        Databases, Vault and PKI have their own alerts.
    """,
    expression="""
        min by (deployment_environment_name, service_namespace, service_name, trust_dependency_name, trust_dependency_type) (
          last_over_time(trust_dependency_up{trust_dependency_type!~"vault|pki|database"}[1m])
        ) == 0
    """,
    wait="1m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="dependency",
    panel=Panel("operational", 8),
    summary="{{ $labels.trust_dependency_name }} is not available to {{ $labels.service_name }}.",
    description="""
        At least one instance of {{ $labels.service_name }} cannot use {{ $labels.trust_dependency_name }} ({{ $labels.trust_dependency_type }}).
    """,
)

GROUP = Group(
    "trust-service.database",
    (
        DATABASE_CONNECTIONS_FAILED,
        DATABASE_SLOW_QUERIES,
        DATABASE_CONNECTION_PROBLEMS,
        DATABASE_REPLICATION_LAG,
        DEPENDENCY_DOWN,
    ),
)
