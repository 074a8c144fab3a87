"""What the service needs: dependencies, database, cache."""

from __future__ import annotations

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from monitoring.dashboards.operational.constants import DATABASE, DEPENDENCIES, LAG_LIMIT, SLOW_LIMIT
from monitoring.dashboards.panels import (
    UP_OR_DOWN,
    About,
    Column,
    Signal,
    rows,
    states,
    trend,
)
from monitoring.dashboards.queries import mean, quantile, rate, recorded, series, total
from monitoring.dashboards.thresholds import NONE_ALLOWED, UP, rising
from trust_otel.semconv.metrics import (
    DB_CLIENT_CONNECTION_COUNT,
    DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    DB_CLIENT_OPERATION_DURATION,
    TRUST_DB_CLIENT_TRANSACTIONS,
    TRUST_DEPENDENCY_CHECK_DURATION,
    TRUST_DEPENDENCY_UP,
)


def dependencies() -> statetimeline.Panel:
    """O8."""
    return states(
        About(
            DEPENDENCIES,
            "Dependency health",
            "Whether the service reaches what it needs, as it sees it itself. One instance that does not reach it is "
            "enough.",
            "Down for all services: the dependency itself. Down for one: its network, its credentials, or its "
            "certificate. "
            "`trust-otel doctor` says what is wrong.",
            "No dependency is watched. TRUST_OTEL_DEPENDENCIES names them.",
            alerts=(
                "TrustVaultUnavailable",
                "TrustPkiUnavailable",
                "TrustDependencyDown",
                "TrustDatabaseConnectionsFailed",
                "TrustRevocationListStale",
            ),
        ),
        (
            Signal(
                "{{service_name}}: {{trust_dependency_name}}",
                f"min by (service_name, trust_dependency_name) ({series(TRUST_DEPENDENCY_UP)})",
            ),
        ),
        words=UP_OR_DOWN,
    )


def dependency_checks() -> timeseries.Panel:
    """Who answers slowly."""
    return trend(
        About(
            25,
            "How long dependencies take to answer",
            "Mean duration of the checks.",
            "A dependency that becomes slow is often about to fail: look at it before it does.",
            "No dependency is watched. TRUST_OTEL_DEPENDENCIES names them.",
        ),
        "s",
        (Signal("{{trust_dependency_name}}", mean(TRUST_DEPENDENCY_CHECK_DURATION, by=("trust_dependency_name",))),),
        width=6,
    )


def pools() -> timeseries.Panel:
    """O4."""
    pool = "db_client_connection_pool_name"
    return trend(
        About(
            DATABASE,
            "Database connection health",
            "Connections in use and the most that the pools open (dashed). Whoever waits, waits for one of them.",
            "Use near the limit: look for slow queries or a leak; then raise the pool. Nobody waits and all fail: "
            "the server.",
            "No connection pool has been seen. SQLAlchemy's engines are instrumented by themselves.",
            alerts=(
                "TrustDatabaseConnectionsFailed",
                "TrustDatabaseConnectionProblems",
                "TrustDatabaseSlowQueries",
                "TrustDatabaseReplicationLag",
            ),
        ),
        "short",
        (
            Signal(
                f"{{{{{pool}}}}} in use",
                total(series(DB_CLIENT_CONNECTION_COUNT, 'db_client_connection_state="used"'), pool),
            ),
            Signal(f"{{{{{pool}}}}} waiting", total(series(DB_CLIENT_CONNECTION_PENDING_REQUESTS), pool)),
            Signal(f"{{{{{pool}}}}} most", total(series(DB_CLIENT_CONNECTION_MAX), pool), dashed=True),
        ),
    )


def operations() -> timeseries.Panel:
    """How fast the database is, as the service sees it."""
    return trend(
        About(
            26,
            "Database operations",
            "How long operations take, and the share of slow ones (right axis).",
            "See which operation it is in the logs of the database; the runbook has the queries.",
            "No database operation has been measured in this time.",
            alerts=("TrustDatabaseSlowQueries",),
        ),
        "s",
        (
            Signal("p50", quantile(0.5, DB_CLIENT_OPERATION_DURATION)),
            Signal("p95", quantile(0.95, DB_CLIENT_OPERATION_DURATION)),
            Signal(
                "slow, limit " + f"{SLOW_LIMIT:.0%}",
                f"max({recorded('service:trust_db_client_slow_operations_per_operation:ratio_rate5m')})",
                "percentunit",
            ),
        ),
    )


def transactions() -> timeseries.Panel:
    """Whether changes last."""
    return trend(
        About(
            27,
            "Transactions",
            "How many transactions end, by commit and by rollback.",
            "Rollbacks rise: conflicts, time-outs, or errors of the code; compare with the error rate.",
            "No transaction has been measured in this time.",
        ),
        "ops",
        (
            Signal(
                "{{trust_db_transaction_outcome}}",
                total(rate(TRUST_DB_CLIENT_TRANSACTIONS), "trust_db_transaction_outcome"),
            ),
        ),
        width=8,
    )


def servers() -> table.Panel:
    """PostgreSQL as it sees itself."""
    return rows(
        About(
            28,
            "PostgreSQL servers",
            "What each server says about itself, through its exporter.",
            "Connections near 1: find out who holds them. A replica that lags: look at its disk and its queries.",
            "No exporter of PostgreSQL is scraped.",
            alerts=("TrustDatabaseReplicationLag",),
        ),
        {"instance": "Server"},
        (
            Column("State", "max by (instance) (pg_up)", words=UP_OR_DOWN, levels=UP),
            Column(
                "Connections in use",
                "sum by (instance) (pg_stat_activity_count) / max by (instance) (pg_settings_max_connections)",
                "percentunit",
                levels=rising(yellow=0.7, red=0.9),
            ),
            Column(
                "Behind its primary",
                "max by (instance) (pg_replication_lag_seconds)",
                "s",
                levels=rising(yellow=LAG_LIMIT / 3, red=LAG_LIMIT),
            ),
        ),
        width=16,
    )


def caches() -> table.Panel:
    """Redis as it sees itself."""
    return rows(
        About(
            32,
            "Redis",
            "What each cache says about itself, through its exporter, over five minutes.",
            "Hits fall: it was emptied, or is too small (evictions). Refused connections: raise maxclients, or find "
            "the leak.",
            "No exporter of Redis is scraped.",
        ),
        {"instance": "Server"},
        (
            Column("State", "max by (instance) (redis_up)", words=UP_OR_DOWN, levels=UP),
            Column(
                "Hits",
                "sum by (instance) (rate(redis_keyspace_hits_total[5m])) / (sum by (instance) "
                "(rate(redis_keyspace_hits_total[5m]) + rate(redis_keyspace_misses_total[5m])) > 0)",
                "percentunit",
            ),
            Column("Clients", "sum by (instance) (redis_connected_clients)", "none"),
            Column("Memory", "sum by (instance) (redis_memory_used_bytes)", "bytes"),
            Column(
                "Evicted", "sum by (instance) (increase(redis_evicted_keys_total[5m]))", "none", levels=NONE_ALLOWED
            ),
            Column(
                "Refused",
                "sum by (instance) (increase(redis_rejected_connections_total[5m]))",
                "none",
                levels=NONE_ALLOWED,
            ),
        ),
        height=5,
    )
