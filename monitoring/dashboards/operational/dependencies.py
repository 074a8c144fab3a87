"""Dependencies, database and cache."""

from __future__ import annotations

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from monitoring.dashboards.operational.constants import (
    CONNECTION_FAILURES,
    DATABASE,
    DEPENDENCIES,
    LAG_LIMIT,
    SLOW_LIMIT,
)
from monitoring.dashboards.panels import (
    UP_OR_DOWN,
    Column,
    PanelText,
    Query,
    state_timeline_panel,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import (
    INSTANCE,
    highest,
    increase,
    mean,
    named,
    quantile,
    rate,
    recorded,
    series,
    total,
)
from monitoring.dashboards.template import OPERATIONAL, panel_url
from monitoring.dashboards.thresholds import NONE_ALLOWED, UP, rising
from trust_otel.semconv.metrics import (
    DB_CLIENT_CONNECTION_COUNT,
    DB_CLIENT_CONNECTION_CREATE_TIME,
    DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    DB_CLIENT_CONNECTION_TIMEOUTS,
    DB_CLIENT_OPERATION_DURATION,
    TRUST_DB_CLIENT_TRANSACTIONS,
    TRUST_DEPENDENCY_CHECK_DURATION,
    TRUST_DEPENDENCY_UP,
)


def dependency_health() -> statetimeline.Panel:
    """Dependency status over time."""
    return state_timeline_panel(
        PanelText(
            DEPENDENCIES,
            "Dependency health",
            "Result of the dependency checks of each service. A dependency is down if the check fails in at least "
            "one instance.",
            "Down for all services: check the dependency itself. Down for one service: check its network, "
            "credentials and certificates with `trust-otel doctor`.",
            "No dependencies are monitored. Set TRUST_OTEL_DEPENDENCIES.",
            alerts=(
                "TrustVaultUnavailable",
                "TrustPkiUnavailable",
                "TrustDependencyDown",
            ),
        ),
        (
            Query(
                "{{service_name}}: {{trust_dependency_name}} ({{trust_dependency_type}})",
                f"min by (service_name, trust_dependency_name, trust_dependency_type) ({series(TRUST_DEPENDENCY_UP)})",
            ),
        ),
        texts=UP_OR_DOWN,
    )


def dependency_check_latency() -> timeseries.Panel:
    """Latency of the dependency checks."""
    return time_series_panel(
        PanelText(
            25,
            "Dependency check latency",
            "Mean duration of the dependency checks of each service.",
            "Rising latency often precedes a failure: check the dependency before it goes down.",
            "No dependencies are monitored. Set TRUST_OTEL_DEPENDENCIES.",
        ),
        "s",
        (
            Query(
                "{{service_name}}: {{trust_dependency_name}}",
                mean(TRUST_DEPENDENCY_CHECK_DURATION, by=("service_name", "trust_dependency_name")),
            ),
        ),
        width=6,
    )


def pool_share_by_instance() -> str:
    """Share in use of the fullest connection pool of each instance."""
    by = (*INSTANCE, "db_client_connection_pool_name")
    used = total(series(DB_CLIENT_CONNECTION_COUNT, 'db_client_connection_state="used"'), *by)
    return named(f"{used} / ({total(series(DB_CLIENT_CONNECTION_MAX), *by)} > 0)")


def connection_pools() -> timeseries.Panel:
    """Connection pool usage."""
    pool = "db_client_connection_pool_name"
    by = ("service_name", pool)
    name = f"{{{{service_name}}}} {{{{{pool}}}}}"
    return time_series_panel(
        PanelText(
            DATABASE,
            "Database connection health",
            "Connections in use, requests waiting for a connection, requests that timed out waiting within 5 minutes, "
            "and the maximum pool size (dashed), by service and connection pool, over all instances. Below, the three "
            "instances with the largest share of a pool in use (right axis).",
            "In use near max: look for slow queries or a connection leak, then raise the pool size. Operations "
            "fail although no request waits: check the database server.",
            "No connection pool was recorded. Pools of SQLAlchemy engines are instrumented automatically.",
            alerts=("TrustDatabaseConnectionProblems",),
            links={"Connection failures": panel_url(OPERATIONAL, CONNECTION_FAILURES)},
        ),
        "short",
        (
            Query(
                f"{name} in use",
                total(series(DB_CLIENT_CONNECTION_COUNT, 'db_client_connection_state="used"'), *by),
            ),
            Query(f"{name} waiting", total(series(DB_CLIENT_CONNECTION_PENDING_REQUESTS), *by)),
            Query(
                f"{name} timed out",
                total(increase(DB_CLIENT_CONNECTION_TIMEOUTS, over="5m"), *by),
                colour="red",
            ),
            Query(f"{name} max", total(series(DB_CLIENT_CONNECTION_MAX), *by), dashed=True),
            Query("{{instance_name}} in use", highest(pool_share_by_instance(), 3), "percentunit"),
        ),
        height=10,
    )


def connection_failures() -> timeseries.Panel:
    """Connections that could not be opened, and databases that fail their checks."""
    pool, dependency = "db_client_connection_pool_name", "trust_dependency_name"
    failed = increase(DB_CLIENT_CONNECTION_CREATE_TIME, 'error_type!=""', part="_count", over="2m")
    opened = increase(DB_CLIENT_CONNECTION_CREATE_TIME, part="_count", over="2m")
    checked = series(TRUST_DEPENDENCY_UP, 'trust_dependency_type="database"')
    return time_series_panel(
        PanelText(
            CONNECTION_FAILURES,
            "Database connection failures",
            "Connections that a pool failed to open within 2 minutes, and instances whose check of a database fails.",
            "Check the database server, then the network, the credentials and the certificates with `trust-otel "
            "doctor`.",
            "No connection pool was recorded, and no database is checked. Set TRUST_OTEL_DEPENDENCIES.",
            alerts=("TrustDatabaseConnectionsFailed",),
        ),
        "short",
        (
            Query(
                f"{{{{service_name}}}} {{{{{pool}}}}} failed",
                f"{total(failed, 'service_name', pool)} or {total(opened, 'service_name', pool)} * 0",
            ),
            Query(
                f"{{{{service_name}}}} {{{{{dependency}}}}} unreachable",
                f"count by (service_name, {dependency}) ({checked} == 0)"
                f" or {total(checked, 'service_name', dependency)} * 0",
            ),
        ),
    )


def database_operations() -> timeseries.Panel:
    """Latency of database operations, measured in the client."""
    return time_series_panel(
        PanelText(
            26,
            "Database operation latency",
            "Latency percentiles of database operations, and the share of slow operations of each database (right "
            "axis).",
            "Find the slow statement in the database log. The runbook lists the queries to run.",
            "No database operations were recorded in the selected time range.",
            alerts=("TrustDatabaseSlowQueries",),
        ),
        "s",
        (
            Query("p50", quantile(0.5, DB_CLIENT_OPERATION_DURATION)),
            Query("p95", quantile(0.95, DB_CLIENT_OPERATION_DURATION)),
            Query(
                f"{{{{service_name}}}} {{{{db_system_name}}}} {{{{db_namespace}}}} slow (threshold {SLOW_LIMIT:.0%})",
                "max by (service_name, db_system_name, db_namespace) "
                f"({recorded('service:trust_db_client_slow_operations_per_operation:ratio_rate5m')})",
                "percentunit",
            ),
        ),
        height=10,
    )


def database_transactions() -> timeseries.Panel:
    """Commits and rollbacks."""
    return time_series_panel(
        PanelText(
            27,
            "Database transactions",
            "Completed transactions per second: commits and rollbacks.",
            "Rollbacks rise: look for conflicts, timeouts or application errors, and compare with the error rate.",
            "No transactions were recorded in the selected time range.",
        ),
        "ops",
        (
            Query(
                "{{trust_db_transaction_outcome}}",
                total(rate(TRUST_DB_CLIENT_TRANSACTIONS), "trust_db_transaction_outcome"),
            ),
        ),
        colours={"commit": "green", "rollback": "orange"},
    )


def postgresql_servers() -> table.Panel:
    """PostgreSQL servers, from the PostgreSQL exporter."""
    return table_panel(
        PanelText(
            28,
            "PostgreSQL servers",
            "State, connection usage and replication lag of each PostgreSQL server, from its exporter.",
            "Connection usage near 100 %: find the clients that hold connections. High replication lag: check disk "
            "and long queries on the replica.",
            "No PostgreSQL exporter is scraped.",
            alerts=("TrustDatabaseReplicationLag",),
        ),
        {"instance": "Server"},
        (
            Column("State", "max by (instance) (pg_up)", texts=UP_OR_DOWN, levels=UP),
            Column(
                "Connection usage",
                "sum by (instance) (pg_stat_activity_count) / max by (instance) (pg_settings_max_connections)",
                "percentunit",
                levels=rising(yellow=0.7, red=0.9),
            ),
            Column(
                "Replication lag",
                "max by (instance) (pg_replication_lag_seconds)",
                "s",
                levels=rising(yellow=LAG_LIMIT / 3, red=LAG_LIMIT),
            ),
        ),
        height=5,
    )


def redis_servers() -> table.Panel:
    """Redis servers, from the Redis exporter."""
    return table_panel(
        PanelText(
            32,
            "Redis",
            "State, hit ratio, clients, memory, evictions and rejected connections of each Redis server over 5 "
            "minutes, from its exporter.",
            "Hit ratio drops: the cache was flushed, or it is too small (see evictions). Rejected connections: find "
            "a connection leak, or raise maxclients.",
            "No Redis exporter is scraped.",
        ),
        {"instance": "Server"},
        (
            Column("State", "max by (instance) (redis_up)", texts=UP_OR_DOWN, levels=UP),
            Column(
                "Hit ratio",
                "sum by (instance) (rate(redis_keyspace_hits_total[5m])) / (sum by (instance) "
                "(rate(redis_keyspace_hits_total[5m]) + rate(redis_keyspace_misses_total[5m])) > 0)",
                "percentunit",
            ),
            Column("Clients", "sum by (instance) (redis_connected_clients)", "none"),
            Column("Memory", "sum by (instance) (redis_memory_used_bytes)", "bytes"),
            Column(
                "Evictions", "sum by (instance) (increase(redis_evicted_keys_total[5m]))", "none", levels=NONE_ALLOWED
            ),
            Column(
                "Rejected",
                "sum by (instance) (increase(redis_rejected_connections_total[5m]))",
                "none",
                levels=NONE_ALLOWED,
            ),
        ),
        height=5,
    )
