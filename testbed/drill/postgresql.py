"""Temporary PostgreSQL servers on loopback: a single one, or a primary with a streaming standby."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

import psycopg

from trust_ops.stack import processes
from trust_ops.stack.ports import free_ports
from trust_ops.stack.supervisor import Supervisor

_STOP_SECONDS = 10
_PAUSE_SECONDS = 10

Server = TypeVar("Server", bound="Cluster")


class Cluster:
    """A server and its data.

    The superuser is `trust`, without a password; the role `guarded`, if created, needs one. PostgreSQL does not run as
    root, so root starts it as Debian's user `postgres`.

    Args:
        directory: Directory of data and log, owned by that user.
        supervisor: Stops the server if this process dies.
    """

    def __init__(self, directory: Path, supervisor: Supervisor) -> None:
        self._directory = directory
        self._supervisor = supervisor
        self._user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._data = directory / "data"
        self.log = directory / "log"
        (self.port,) = free_ports(1)
        if self._user:
            shutil.chown(directory, "postgres", "postgres")
        self._fill()

    @property
    def url(self) -> str:
        """libpq URL of the superuser."""
        return f"postgresql://trust@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        options = f"-p {self.port} -k {self._directory} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-l", str(self.log), "-o", f"{options} -c max_prepared_transactions=5")
        # pg_ctl starts it as a daemon, which would outlive this process.
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        self._supervisor.watch(processes.record(pid), _STOP_SECONDS)

    def stop(self) -> None:
        """Stop the server immediately, as a crash would, if it runs."""
        if (self._data / "postmaster.pid").exists():
            self._control("stop", "-m", "immediate")

    def execute(self, *statements: str) -> None:
        """Execute statements, each in a separate transaction."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _fill(self) -> None:
        self._run("initdb", "--auth=trust", "--username=trust", "--no-sync", "--pgdata", str(self._data))
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")

    def _control(self, command: str, *arguments: str) -> None:
        self._run("pg_ctl", command, "-w", "-D", str(self._data), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            [_program(program), *arguments],
            check=True,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._user,  # type: ignore[call-overload]
        )


class Standby(Cluster):
    """A hot standby of a running primary."""

    def __init__(self, directory: Path, supervisor: Supervisor, primary: Cluster) -> None:
        self._primary = primary
        super().__init__(directory, supervisor)

    def pause_replay(self) -> None:
        """Pause WAL replay; WAL is still received."""
        self.execute("SELECT pg_wal_replay_pause()")
        self._await_pause_state("paused")

    def resume_replay(self) -> None:
        """Resume WAL replay."""
        # The replay may cancel this query as a conflict, but by then the replay has been resumed.
        with suppress(psycopg.errors.SerializationFailure):
            self.execute("SELECT pg_wal_replay_resume()")
        self._await_pause_state("not paused")

    def _fill(self) -> None:
        # --write-recovery-conf makes the copy a standby of the primary.
        source = f"host=127.0.0.1 port={self._primary.port} user=trust"
        self._run(
            "pg_basebackup",
            *("--dbname", source, "--pgdata", str(self._data)),
            *("--wal-method=stream", "--checkpoint=fast", "--no-sync", "--write-recovery-conf"),
        )

    def _await_pause_state(self, expected: str) -> None:
        deadline = time.monotonic() + _PAUSE_SECONDS
        with psycopg.connect(self.url, autocommit=True) as connection:
            while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != (expected,):
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"replay on the standby is not {expected!r} after {_PAUSE_SECONDS} s; see {self.log}"
                    )
                time.sleep(0.02)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running server, removed afterwards."""
    with _workplace() as (stack, supervisor):
        yield stack.enter_context(_running(Cluster(_directory(stack), supervisor)))


@contextmanager
def replicated() -> Iterator[tuple[Cluster, Standby]]:
    """A running primary with its standby, removed afterwards."""
    with _workplace() as (stack, supervisor):
        primary = stack.enter_context(_running(Cluster(_directory(stack), supervisor)))
        standby = stack.enter_context(_running(Standby(_directory(stack), supervisor, primary)))
        yield primary, standby


@contextmanager
def _workplace() -> Iterator[tuple[ExitStack, Supervisor]]:
    with ExitStack() as stack:
        supervisor = Supervisor()
        stack.callback(supervisor.dismiss)
        yield stack, supervisor


def _directory(stack: ExitStack) -> Path:
    directory = Path(mkdtemp(prefix="trust-otel-postgresql-"))
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    return directory


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _program(name: str) -> str:
    """Path of a PostgreSQL program. On Debian only some are on PATH; all are beside the real `pg_ctl`.

    Raises FileNotFoundError if PostgreSQL is not installed.
    """
    found = shutil.which(name)
    if found is not None:
        return found
    control = shutil.which("pg_ctl")
    if control is None:
        raise FileNotFoundError("pg_ctl is not on PATH: install PostgreSQL and add the folder of its programs to PATH")
    return str(Path(control).resolve().with_name(name))
