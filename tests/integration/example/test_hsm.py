"""Signatures of the example service with a key in SoftHSM."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import httpx
import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from trust_service.authority import Authority
from trust_service.hsm import HsmKey
from trust_service.settings import HsmSettings, InvalidSettingError
from trust_service.signatures import HsmUnavailableError, Signer

from examples.demo.service import TrustService
from testbed.softhsm import PIN, service_settings
from tests.integration.example.conftest import bearer
from tests.support.softhsm import TOKEN
from trust_ops.stack.ports import free_ports

_SHA256 = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def settings(softhsm_module: str, tmp_path: Path) -> HsmSettings:
    pin_file = tmp_path / "pin"
    pin_file.write_text(f"{PIN}\n")
    return HsmSettings(Path(softhsm_module), TOKEN, pin_file)


def _sign(key: HsmKey) -> None:
    key.public_key().verify(key.sign(b"a contract", _SHA256), b"a contract", _SHA256)


async def test_signatures_of_the_hsm_are_valid(settings: HsmSettings) -> None:
    with closing(HsmKey(settings, "signatures")) as key, closing(Signer(Authority(), key)) as signer:
        for algorithm in ("sha256", "sha384"):
            signature = await signer.sign(b"a contract", algorithm)
            assert signature is not None
            assert signer.verify(b"a contract", signature, signer.pem, algorithm) is None
            assert signer.verify(b"another", signature, signer.pem, algorithm) == "bad_signature"


def test_the_next_start_finds_the_key(settings: HsmSettings) -> None:
    with closing(HsmKey(settings, "restarted")) as first:
        pass
    with closing(HsmKey(settings, "restarted")) as second:
        assert second.public_key() == first.public_key()
        _sign(second)


def _public_numbers(settings: HsmSettings) -> int:
    pkcs11.lib(str(settings.module)).reinitialize()
    key = HsmKey(settings, "shared")
    _sign(key)
    return key.public_key().public_numbers().x


def test_workers_that_start_together_have_one_key(settings: HsmSettings) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as workers:
        assert len(set(workers.map(_public_numbers, [settings] * 4))) == 1


def _sign_in_two_processes(settings: HsmSettings) -> int:
    pkcs11.lib(str(settings.module)).reinitialize()
    with closing(HsmKey(settings, "forked")) as key:
        with key._lock:  # as another thread that signs
            child = os.fork()
            if child == 0:
                try:
                    _sign(key)
                    os._exit(0)
                finally:
                    os._exit(1)
        _sign(key)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_process_signs_and_so_does_its_parent(settings: HsmSettings) -> None:
    # Not in this process, which other tests may have left with threads of gRPC: a fork could hang.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        assert processes.submit(_sign_in_two_processes, settings).result(60) == 0


def test_a_wrong_pin_is_reported_without_the_pin(settings: HsmSettings) -> None:
    settings.pin_file.write_text("9999")
    with pytest.raises(InvalidSettingError, match=r"TRUST_SERVICE_PKCS11_PIN_FILE=.*refuses the PIN") as caught:
        HsmKey(settings, "refused")
    assert "9999" not in str(caught.value)


def test_a_missing_token_is_reported(settings: HsmSettings) -> None:
    with pytest.raises(InvalidSettingError, match=r"TRUST_SERVICE_PKCS11_TOKEN='missing': set the label"):
        HsmKey(replace(settings, token="missing"), "unused")


def test_a_file_that_is_no_module_is_reported(settings: HsmSettings) -> None:
    with pytest.raises(InvalidSettingError, match=r"TRUST_SERVICE_PKCS11_MODULE=.*: set the path"):
        HsmKey(replace(settings, module=settings.pin_file), "unused")


def test_a_lost_session_fails_once_and_is_opened_again(settings: HsmSettings) -> None:
    with closing(HsmKey(settings, "lost")) as key:
        key._session.close()
        with pytest.raises(HsmUnavailableError, match=r"SessionHandleInvalid|KeyHandleInvalid|UserNotLoggedIn"):
            key.sign(b"a contract", _SHA256)
        _sign(key)


def test_a_service_starts_again_after_an_interrupted_first_start(softhsm_module: str, tmp_path: Path) -> None:
    (tmp_path / "hsm.unfinished" / "tokens").mkdir(parents=True)
    first = service_settings(tmp_path / "hsm")
    assert service_settings(tmp_path / "hsm") == first
    opened = (
        "import pkcs11, sys; module, label, pin = sys.argv[1:]\n"
        "pkcs11.lib(module).get_token(token_label=label).open(user_pin=open(pin).read()).close()"
    )
    names = ("TRUST_SERVICE_PKCS11_MODULE", "TRUST_SERVICE_PKCS11_TOKEN", "TRUST_SERVICE_PKCS11_PIN_FILE")
    command = [sys.executable, "-c", opened, *(first[name] for name in names)]
    subprocess.run(command, env={**os.environ, **first}, check=True)


def _metric(text: str, name: str, *labels: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith(name) and all(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@pytest.fixture
def metrics_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def service(tmp_path: Path, softhsm_module: str, metrics_port: int) -> Iterator[TrustService]:
    """A service with a token of its own."""
    telemetry = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port)}
    with TrustService(tmp_path, telemetry) as running:
        yield running


def test_the_service_responds_503_without_its_key_and_counts_both(
    metrics_port: int,
    service: TrustService,
    tmp_path: Path,
    client: httpx.Client,
    create: Callable[..., object],
    log_in: Callable[..., httpx.Response],
) -> None:
    create("an-operator")
    headers = bearer(log_in("an-operator", address="192.0.2.7"))
    order = {"content": base64.b64encode(b"a contract").decode()}
    assert client.post("/signatures", headers=headers, json=order).status_code == 201
    for file in (tmp_path / "hsm" / "tokens").glob("*/*.object"):
        if file.name != "token.object":
            file.unlink()
    refused = client.post("/signatures", headers=headers, json=order)
    assert refused.status_code == 503
    assert refused.json()["detail"].startswith("HSM: ")

    text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", trust_env=False).text
    assert _metric(text, "trust_key_uses_total", 'trust_key_name="document-signer"', '"allowed"') == 1
    count = "trust_certificate_operation_duration_seconds_count"
    assert _metric(text, count, '"signing"', 'error_type="') == 1
    assert _metric(text, "trust_pkcs11_operation_duration_seconds_count", 'error_type="CKR_') >= 1
