"""A throw-away PostgreSQL cluster on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest

_MISSING = [name for name in ("initdb", "pg_ctl") if shutil.which(name) is None]

# A developer's machine may lack PostgreSQL; continuous integration may not, and fails where it does.
needs_postgresql = pytest.mark.skipif(
    bool(_MISSING) and "CI" not in os.environ, reason=f"not on this machine: {', '.join(_MISSING)}"
)


class Cluster:
    """A cluster whose superuser is `trust`, without a password; the role `guarded`, once it exists, needs one.

    PostgreSQL refuses to run as root, who therefore starts it as the user that Debian made.
    """

    def __init__(self, directory: Path) -> None:
        self._user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._directory = directory
        self._data = directory / "data"
        self.log = directory / "log"
        if self._user:
            shutil.chown(directory, "postgres", "postgres")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port: int = listener.getsockname()[1]
        self._run("initdb", "--auth=trust", "--username=trust", "--no-sync", "--pgdata", str(self._data))
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-p {self.port} -k {self._directory} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-l", str(self.log), "-o", f"{options} -c max_prepared_transactions=5")

    def stop(self) -> None:
        """Stop it, if it runs."""
        if (self._data / "postmaster.pid").exists():
            self._control("stop", "-m", "immediate")

    def _control(self, command: str, *arguments: str) -> None:
        self._run("pg_ctl", command, "-w", "-D", str(self._data), *arguments)

    def _run(self, *command: str) -> None:
        subprocess.run(
            command,
            check=True,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._user,
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that runs, and is gone afterwards."""
    directory = Path(mkdtemp(prefix="trust-otel-postgresql-"))
    try:
        made = Cluster(directory)
        try:
            made.start()
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
