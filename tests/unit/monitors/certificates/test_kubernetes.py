"""TLS secrets, as a Kubernetes API server lists them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.unit.monitors.certificates.authority import DAY, NOW, Authority, distinguished, key_pem, pem, write
from trust_otel.monitors.certificates import kubernetes

TOKEN = "eyJ.of.the.pod"


class Api:
    """The secrets of a namespace, listed in pages of two."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}
        self.status = 200
        self.body: bytes | None = None

    def __call__(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        if self.status != 200 or request.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.status if self.status != 200 else 401, {}, b'{"kind": "Status"}'
        url = urlsplit(request.path)
        query = parse_qs(url.query)
        assert url.path == "/api/v1/namespaces/trust/secrets"
        assert query["fieldSelector"] == ["type=kubernetes.io/tls"]
        begin = int(query.get("continue", ["0"])[0])
        page = list(self.secrets.items())[begin : begin + 2]
        more = {"continue": str(begin + 2)} if begin + 2 < len(self.secrets) else {}
        items = [
            {
                "metadata": {"name": name, "namespace": "trust", "uid": "1"},
                "type": "kubernetes.io/tls",
                "data": {"tls.crt": base64.b64encode(data).decode(), "tls.key": "c2VjcmV0"},
            }
            for name, data in page
        ]
        body = {"kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", **more}, "items": items}
        return 200, {"Content-Type": "application/json"}, self.body or json.dumps(body).encode()


@pytest.fixture
def api(web_server: Any, context_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Api:
    """An API server that the pod trusts, and the service account files of the pod."""
    authority = Authority("kubernetes")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(distinguished("kube-apiserver"))
        .issuer_name(authority.name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW.astimezone(timezone.utc) - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, SHA256())
    )
    account = tmp_path / "serviceaccount"
    write(account / "ca.crt", pem(authority.certificate))
    write(account / "token", TOKEN.encode(), b"\n")
    write(account / "namespace", b"trust")
    served = Api()
    server = web_server(served, context_of(certificate, key))
    monkeypatch.setattr(kubernetes, "SERVICE_ACCOUNT", account)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    return served


def problem(snapshot: Any) -> str:
    (report,) = snapshot.reports
    return report.problem or ""


@pytest.mark.parametrize("source", ["kubernetes://trust", "kubernetes://", "kubernetes:///"])
def test_all_pages_are_read(api: Api, make_watcher: Any, authority: Authority, source: str) -> None:
    for name in ("a", "b", "c", "d", "e"):
        api.secrets[name] = pem(authority.issue()[0], authority.certificate)
    snapshot = make_watcher(source).poll()
    assert problem(snapshot) == ""
    assert sorted(snapshot.certificates) == sorted(f"trust/{name}{end}" for name in "abcde" for end in ("", "#2"))
    assert "prod/a" in make_watcher(f"prod={source}").poll().certificates


def test_deleted_secret_is_removed_and_invalid_one_is_kept(api: Api, make_watcher: Any, authority: Authority) -> None:
    api.secrets = {name: pem(authority.issue()[0]) for name in ("a", "b", "c")}
    watcher = make_watcher("kubernetes://trust")
    watcher.poll()
    del api.secrets["a"]
    api.secrets["b"] = b"-----BEGIN CERTIFICATE-----\n"
    api.secrets["d"] = b"nothing"
    snapshot = watcher.poll()
    assert sorted(snapshot.certificates) == ["trust/b", "trust/c"]
    assert "b: is truncated" in problem(snapshot)
    assert "d: its tls.crt contains no certificate" in problem(snapshot)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_error_response_keeps_certificates_and_names_a_fix(
    api: Api, make_watcher: Any, authority: Authority, status: int
) -> None:
    api.secrets["a"] = pem(authority.issue()[0])
    watcher = make_watcher("kubernetes://trust")
    watcher.poll()
    api.status = status
    snapshot = watcher.poll()
    assert list(snapshot.certificates) == ["trust/a"]
    assert str(status) in problem(snapshot)
    assert ("Role" in problem(snapshot)) == (status != 500)
    assert TOKEN not in problem(snapshot)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"items": 7, "metadata": {}}', b"[" * 100_000, b'{"items": [{}], "metadata": {}}']
)
def test_invalid_response_is_a_problem(api: Api, make_watcher: Any, body: bytes) -> None:
    api.body = body or b" "
    assert "the response " in problem(make_watcher("kubernetes://trust").poll())


def test_untrusted_server_gets_no_token(api: Api, make_watcher: Any) -> None:
    write(kubernetes.SERVICE_ACCOUNT / "ca.crt", pem(Authority("another").certificate))
    assert "not trusted" in problem(make_watcher("kubernetes://trust").poll())


def test_outside_of_a_pod(api: Api, make_watcher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (kubernetes.SERVICE_ACCOUNT / "token").unlink()
    assert "token" in problem(make_watcher("kubernetes://trust").poll())
    write(kubernetes.SERVICE_ACCOUNT / "ca.crt", b"junk")
    assert "ca.crt" in problem(make_watcher("kubernetes://trust").poll())
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert "not running in a pod" in problem(make_watcher("kubernetes://trust").poll())


def test_keys_are_not_kept(api: Api, make_watcher: Any, authority: Authority) -> None:
    leaf, key = authority.issue()
    api.secrets["a"] = pem(leaf) + key_pem(key)
    watcher = make_watcher("kubernetes://trust")
    watcher.poll()
    assert "c2VjcmV0" not in repr(vars(watcher._sources[0]))
