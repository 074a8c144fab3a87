"""The TLS certificate of a real PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from tests.unit.monitors.certificates.authority import Authority, key_pem, pem
from trust_otel.monitors.certificates import SourceReport, check_sources
from trust_otel.monitors.dependencies import check
from trust_otel.setting_lists import dependencies
from trust_otel.settings import Settings

_MISSING = [name for name in ("initdb", "pg_ctl") if shutil.which(name) is None]

# Tests are skipped without PostgreSQL, except in CI, where they fail.
pytestmark = pytest.mark.skipif(
    bool(_MISSING) and "CI" not in os.environ, reason=f"not on this machine: {', '.join(_MISSING)}"
)

_AUTHORITY = Authority()
_CERTIFICATE, _KEY = _AUTHORITY.issue("db.test", days=20)


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[int, Path]]:
    """A temporary cluster with TLS, and its folder. PostgreSQL does not run as root."""
    user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    directory = Path(mkdtemp(prefix="trust-otel-postgresql-"))
    (directory / "server.crt").write_bytes(pem(_CERTIFICATE))
    (directory / "server.key").write_bytes(key_pem(_KEY))
    (directory / "server.key").chmod(0o600)
    if user:
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "postgres", "postgres")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)

    data = str(directory / "data")
    files = f"-c ssl_cert_file={directory}/server.crt -c ssl_key_file={directory}/server.key"
    options = f"-p {port} -k {directory} -c listen_addresses=127.0.0.1 -c fsync=off -c ssl=on {files}"
    try:
        run("initdb", "--auth=trust", "--username=trust", "--no-sync", "--pgdata", data)
        run("pg_ctl", "start", "-w", "-D", data, "-l", str(directory / "log"), "-o", options)
        yield port, directory
    finally:
        if (directory / "data" / "postmaster.pid").exists():
            run("pg_ctl", "stop", "-w", "-D", data, "-m", "immediate")
        shutil.rmtree(directory, ignore_errors=True)


def test_the_certificate_of_the_database_is_read(cluster: tuple[int, Path]) -> None:
    port, _ = cluster
    assert check_sources(
        Settings.from_environment({"TRUST_OTEL_CERTIFICATES": f"db=tls+postgres://127.0.0.1:{port}"})
    ) == [SourceReport("db", None, 1, _CERTIFICATE.not_valid_after_utc.timestamp())]


def test_it_is_read_only_with_postgresqls_starttls(cluster: tuple[int, Path]) -> None:
    port, _ = cluster
    (report,) = check_sources(Settings.from_environment({"TRUST_OTEL_CERTIFICATES": f"db=tls://127.0.0.1:{port}"}))
    assert report.certificates == 0
    assert report.problem


@pytest.mark.parametrize(
    ("host", "suffix", "names", "expected"),
    [
        ("db.test", "", {"db.test"}, None),
        ("db.test.", "", {"db.test."}, None),
        ("DB.Test.", "", {"DB.Test."}, None),
        ("db.test.%2Cdb.test", "", {"db.test.", "db.test"}, None),
        ("127.0.0.1", "&host=db.test.", {"db.test."}, None),
        ("db.test.", "&hostaddr=127.0.0.1", set(), None),
        ("other.test.", "", {"other.test."}, "tls"),
    ],
)
def test_a_dot_at_the_end_of_the_host_is_not_part_of_the_verified_name(
    cluster: tuple[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    suffix: str,
    names: set[str],
    expected: str | None,
) -> None:
    port, _ = cluster
    original, resolved = socket.getaddrinfo, set()

    def resolve(name: Any, *arguments: Any, **options: Any) -> Any:
        resolved.add(name)
        return original("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    root = tmp_path / "ca.pem"
    root.write_bytes(pem(_AUTHORITY.certificate))
    url = f"postgresql://trust@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={root}{suffix}"
    (dependency,) = dependencies(f"db={url}")
    assert check(dependency, 10).error_type == expected
    assert resolved == names
