"""Certificates of servers that `openssl s_server` runs, with all kinds of keys, signatures and protocol versions."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trust_ops.stack.ports import free_ports
from trust_otel.monitors.certificates import SourceReport, check_sources
from trust_otel.settings import Settings

Read = Callable[..., SourceReport]


def _certificate(folder: Path, *options: str) -> tuple[str, str]:
    """The files of a key and a self-signed certificate, as options of `openssl`."""
    key, certificate = str(folder / "server.key"), str(folder / "server.pem")
    command = [
        "openssl",
        "req",
        "-x509",
        "-nodes",
        "-subj",
        "/CN=x",
        "-days",
        "30",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return key, certificate


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Runs a server with a certificate, and reads it."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(certificate: list[str], *options: str) -> SourceReport:
        key, file = _certificate(tmp_path, *certificate)
        (port,) = free_ports(1)
        command = ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-key", key, "-cert", file]
        process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.append(process)
        _wait_for(port, process)
        settings = Settings.from_environment({"TRUST_OTEL_CERTIFICATES": f"a=tls://127.0.0.1:{port}"})
        (report,) = check_sources(settings)
        return report

    yield start
    for process in processes:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)


def _ec(curve: str) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}"]


@pytest.mark.parametrize("curve", ["brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1", "secp224r1", "secp256k1"])
@pytest.mark.parametrize("groups", [[], ["-groups", "X25519"], ["-groups", "{}"], ["-groups", "X25519:{}"]])
def test_curves_that_clients_do_not_offer(read: Read, curve: str, groups: list[str]) -> None:
    report = read(_ec(curve), *(option.format(curve) for option in groups))
    assert (report.problem, report.certificates) == (None, 1)


@pytest.mark.parametrize(
    "certificate",
    [
        _ec("P-256"),
        [*_ec("P-256"), "-pkeyopt", "ec_param_enc:explicit"],
        ["-newkey", "ed25519"],
        ["-newkey", "ed448"],
        ["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"],
        ["-newkey", "rsa:2048", "-sha1"],
        ["-newkey", "rsa:2048", "-set_serial", "-5"],
        ["-newkey", "rsa:2048", "-set_serial", "0x" + "7f" * 40],
        ["-newkey", "rsa:2048", "-days", "20000"],
    ],
    ids=lambda options: " ".join(options)[:60],
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_keys_and_signatures(read: Read, certificate: list[str], version: str) -> None:
    report = read(certificate, version)
    assert (report.problem, report.certificates) == (None, 1)


@pytest.mark.parametrize(
    "options",
    [
        ["-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"],
        ["-tls1_2", "-Verify", "1"],
        ["-tls1_3", "-Verify", "1"],
        ["-tls1_2", "-cipher", "NULL:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "ARIA256-GCM-SHA384:CAMELLIA256-SHA:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "kRSA"],
        ["-groups", "ffdhe2048"],
    ],
    ids=" ".join,
)
def test_versions_and_cipher_suites(read: Read, options: list[str]) -> None:
    report = read(["-newkey", "rsa:2048"], *options)
    assert (report.problem, report.certificates) == (None, 1)
