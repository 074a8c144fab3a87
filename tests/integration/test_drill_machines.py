"""The drill's servers stop when the process that started them ends in any way."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from testbed.drill.redis import Redis
from tests.support.postgresql import needs_postgresql, replicated
from tests.support.running import eventually

_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import os, pathlib, signal, sys
from testbed.drill.postgresql import replicated
from testbed.drill.redis import Redis
with replicated() as (primary, standby), Redis(pathlib.Path(sys.argv[1])) as redis:
    print(primary.port, standby.port, redis.port)
    print(primary.log.parent, standby.log.parent, flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
"""


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@needs_postgresql
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_no_server_is_left_when_the_process_is_killed(tmp_path: Path, ending: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path), str(int(ending))],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == -ending, ended.stderr
    ports, folders = (line.split() for line in ended.stdout.splitlines())
    try:
        assert len(ports) == 3
        eventually(lambda: [port for port in ports if listening(int(port))], [])
    finally:
        # A killed process stops its servers, but does not remove their data.
        for folder in folders:
            shutil.rmtree(folder)


@needs_postgresql
def test_no_server_and_no_data_are_left_after_the_block() -> None:
    with replicated() as (primary, standby):
        ports = [primary.port, standby.port]
        folders = [primary.log.parent, standby.log.parent]
        assert all(listening(port) for port in ports)
    assert not any(listening(port) for port in ports)
    assert not any(folder.exists() for folder in folders)


@needs_postgresql
def test_a_standby_has_the_primarys_data_unless_replay_is_paused() -> None:
    with replicated() as (primary, standby):

        def shown() -> int | None:
            return rows(standby.url)

        primary.execute("CREATE TABLE written (x int)", "INSERT INTO written VALUES (1)")
        eventually(shown, 1)
        standby.pause_replay()
        primary.execute("INSERT INTO written VALUES (2)")
        time.sleep(0.5)
        assert shown() == 1
        standby.resume_replay()
        eventually(shown, 2)
        primary.stop()
        assert shown() == 2, "a standby must work without its primary"
        primary.start()
        primary.execute("INSERT INTO written VALUES (3)")
        eventually(shown, 3)


def rows(url: str) -> int | None:
    """Number of rows on a server; None without the table."""
    with psycopg.connect(url) as connection:
        try:
            row = connection.execute("SELECT count(*) FROM written").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
        return int(row[0]) if row else None


def test_redis_restarts_at_the_same_address(tmp_path: Path) -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(Redis(tmp_path))
        assert listening(redis.port)
        redis.stop()
        assert not listening(redis.port)
        redis.start()
        assert listening(redis.port)
    assert not listening(redis.port)
