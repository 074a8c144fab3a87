"""Revocation by CRL and OCSP, with verified signatures."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.monitors.certificates.authority import DAY, NOW, Authority, der, distinguished, pem, write
from tests.unit.monitors.dependencies.conftest import VAULT
from tests.unit.monitors.dependencies.conftest import Authority as ServerAuthority
from trust_otel.monitors.certificates import ocsp as ocsp_client
from trust_otel.monitors.certificates import revocation
from trust_otel.monitors.certificates.content import Certificate
from trust_otel.monitors.certificates.revocation import issued


def revoked(snapshot: Any) -> set[str]:
    return {name for name, watched in snapshot.certificates.items() if watched.revoked}


def problems(snapshot: Any) -> list[str]:
    return [report.problem for report in snapshot.reports if report.problem]


def shortened(crl: bytes) -> bytes:
    """A revocation list in DER from which 15 bytes of its signed part were removed, with the lengths corrected."""
    assert crl[:2] == b"0\x81"
    assert crl[3:4] == b"0"
    return bytes([*crl[:2], crl[2] - 15, crl[3], crl[4] - 15, *crl[5:]])


def statuses(snapshot: Any) -> list[tuple[str, str]]:
    return [(responder, result.status) for responder, result in snapshot.ocsp_responses]


def next_updates(snapshot: Any) -> dict[str, float | None]:
    return {name: crl.next_update for name, crl in snapshot.crls.items()}


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Path:
    """Two certificates and that of their issuer."""
    write(tmp_path / "ca.pem", pem(authority.certificate))
    for name in ("a", "b"):
        write(tmp_path / f"{name}.pem", pem(authority.issue(name)[0]))
    return tmp_path


def certificate_in(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


_KEYS = [
    (lambda: ec.generate_private_key(ec.SECP384R1()), SHA256()),
    (lambda: rsa.generate_private_key(65537, 2048), SHA256()),
    (ed25519.Ed25519PrivateKey.generate, None),
]


class TestIssuers:
    @pytest.mark.parametrize(("key", "hash_algorithm"), _KEYS)
    def test_issuer_needs_matching_name_and_signature(self, key: Any, hash_algorithm: Any) -> None:
        first, namesake = (Authority("one name", key(), hash_algorithm) for _ in range(2))
        leaf, _ = first.issue()
        assert issued(first.certificate, leaf)
        assert issued(first.certificate, first.certificate)
        assert not issued(namesake.certificate, leaf)
        assert not issued(Authority("another", first.key, hash_algorithm).certificate, leaf)

    def test_rsa_with_pss(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        builder = (
            x509.CertificateBuilder()
            .subject_name(distinguished("x"))
            .issuer_name(distinguished("x"))
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(NOW)
            .not_valid_after(NOW + DAY)
        )
        pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
        certificate = builder.sign(key, SHA256(), rsa_padding=pss)
        assert issued(certificate, certificate)

    def test_unsupported_key_type(self) -> None:
        authority = Authority(key=dsa.generate_private_key(2048))
        assert not issued(authority.certificate, authority.certificate)

    def test_signature_is_verified_once(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[Any] = []

        def count(*arguments: Any) -> bool:
            calls.append(arguments)
            return issued(*arguments)

        monkeypatch.setattr(revocation, "issued", count)
        certificates = [Certificate(authority.certificate), Certificate(authority.issue()[0])]
        issuers = revocation.Issuers()
        assert issuers.of(certificates) == issuers.of(certificates)
        assert len(calls) == 2


class TestCrls:
    def test_crl_in_a_folder(self, make_watcher: Any, authority: Authority, folder: Path) -> None:
        write(folder / "issuing.crl", der(authority.revocation_list(certificate_in(folder, "a"))))
        snapshot = make_watcher(folder).poll()
        assert (revoked(snapshot), problems(snapshot)) == ({"a"}, [])
        assert next_updates(snapshot) == {"issuing": (NOW + DAY).timestamp()}

    def test_crl_at_a_url(self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any) -> None:
        server = web_server(pem(authority.revocation_list(certificate_in(folder, "b"))))
        snapshot = make_watcher(folder, f"crl+{server.url}/pki/issuing-ca.crl").poll()
        assert (revoked(snapshot), problems(snapshot)) == ({"b"}, [])
        assert list(snapshot.crls) == ["issuing-ca"]
        assert list(make_watcher(f"crl+{server.url}").poll().crls) == ["127.0.0.1"]
        assert list(make_watcher(f"x=crl+{server.url}/a.crl").poll().crls) == ["x"]

    def test_unchanged_crl_is_not_downloaded_again(
        self, make_watcher: Any, authority: Authority, web_server: Any
    ) -> None:
        body, asked = der(authority.revocation_list()), []

        def answer(request: Any) -> Any:
            asked.append(request.headers["If-None-Match"])
            return (304, {}, b"") if asked[-1] == '"7"' else (200, {"ETag": '"7"'}, body)

        watcher = make_watcher(f"crl+{web_server(answer).url}/a.crl")
        for _ in range(3):
            snapshot = watcher.poll()
        assert asked == [None, '"7"', '"7"']
        assert (list(snapshot.crls), problems(snapshot)) == (["a"], [])

    def test_overdue_crl_still_revokes(self, make_watcher: Any, authority: Authority, folder: Path) -> None:
        overdue = authority.revocation_list(certificate_in(folder, "a"), next_update=NOW - DAY)
        write(folder / "x.crl", pem(overdue))
        snapshot = make_watcher(folder).poll()
        assert revoked(snapshot) == {"a"}
        assert next_updates(snapshot) == {"x": (NOW - DAY).timestamp()}

    def test_number_age_and_size(self, make_watcher: Any, authority: Authority, folder: Path) -> None:
        crl = authority.revocation_list(certificate_in(folder, "a"), number=2**70)
        write(folder / "x.crl", pem(crl))
        write(folder / "y.crl", pem(authority.revocation_list()))
        found = make_watcher(folder).poll().crls
        assert (found["x"].number, found["y"].number) == (2**70, None)
        assert found["x"].this_update == (NOW - 2 * DAY).timestamp()
        assert found["x"].size == len(der(crl)) > found["y"].size

    def test_list_without_next_update_has_age_and_size(
        self, make_watcher: Any, authority: Authority, tmp_path: Path
    ) -> None:
        write(tmp_path / "x.crl", pem(authority.revocation_list(number=7)))
        crl = x509.load_pem_x509_crl((tmp_path / "x.crl").read_bytes())
        end = NOW + DAY
        dated = der(crl).replace(b"\x17\r" + end.strftime("%y%m%d%H%M%SZ").encode(), b"")
        assert len(dated) == len(der(crl)) - 15
        write(tmp_path / "x.crl", shortened(dated))
        (found,) = make_watcher(tmp_path / "x.crl").poll().crls.values()
        assert (found.next_update, found.number) == (None, 7)
        assert found.this_update == (NOW - 2 * DAY).timestamp()

    def test_crl_of_an_issuer_that_is_not_monitored(
        self, make_watcher: Any, authority: Authority, folder: Path
    ) -> None:
        (folder / "ca.pem").unlink()
        write(folder / "x.crl", pem(authority.revocation_list(certificate_in(folder, "a"))))
        snapshot = make_watcher(folder).poll()
        assert (revoked(snapshot), problems(snapshot), list(snapshot.crls)) == (set(), [], ["x"])

    def test_crl_with_invalid_signature_is_a_problem(self, make_watcher: Any, folder: Path) -> None:
        write(folder / "x.crl", pem(Authority().revocation_list(certificate_in(folder, "a"))))
        snapshot = make_watcher(folder).poll()
        assert revoked(snapshot) == set()
        assert problems(snapshot) == ["the revocation list x: its signature is not valid for its issuer"]

    def test_invalid_crl_does_not_undo_revocations(self, make_watcher: Any, authority: Authority, folder: Path) -> None:
        write(folder / "x.crl", pem(authority.revocation_list(certificate_in(folder, "a"))))
        watcher = make_watcher(folder)
        watcher.poll()
        write(folder / "x.crl", pem(Authority().revocation_list()))
        snapshot = watcher.poll()
        assert revoked(snapshot) == {"a"}
        assert problems(snapshot)
        write(folder / "x.crl", pem(authority.revocation_list()))
        assert revoked(watcher.poll()) == set()

    def test_crl_of_another_issuer_with_the_same_serial_number(
        self, make_watcher: Any, authority: Authority, folder: Path
    ) -> None:
        other = Authority("Other CA")
        write(folder / "other.pem", pem(other.certificate))
        write(folder / "x.crl", pem(other.revocation_list(certificate_in(folder, "a"))))
        snapshot = make_watcher(folder).poll()
        assert (revoked(snapshot), problems(snapshot)) == (set(), [])

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            (x509.ReasonFlags.key_compromise, {"a"}),
            (x509.ReasonFlags.certificate_hold, {"a"}),
            (x509.ReasonFlags.remove_from_crl, set()),
        ],
    )
    def test_revocation_reason(
        self, make_watcher: Any, authority: Authority, folder: Path, reason: x509.ReasonFlags, expected: set[str]
    ) -> None:
        write(folder / "x.crl", pem(authority.revocation_list(certificate_in(folder, "a"), reason=reason)))
        assert revoked(make_watcher(folder).poll()) == expected

    def test_indirect_crl_is_rejected(self, make_watcher: Any, authority: Authority, folder: Path) -> None:
        write(folder / "x.crl", pem(authority.revocation_list(certificate_in(folder, "a"), indirect=True)))
        snapshot = make_watcher(folder).poll()
        assert revoked(snapshot) == set()
        assert "indirect" in problems(snapshot)[0]

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (lambda _: (404, {}, b""), "HTTP status 404"),
            (lambda _: (200, {}, b"<html>"), "no revocation list"),
            (lambda _: (200, {}, b""), "no revocation list"),
            (lambda _: (200, {"Content-Length": "100"}, b"x"), "no revocation list|IncompleteRead"),
            (lambda _: (302, {"Location": "file:///etc/passwd"}, b""), "HTTP status 302"),
            (lambda _: (200, {}, b"x" * 11_000_000), "more than"),
        ],
    )
    def test_response_without_a_crl_is_a_problem(
        self, make_watcher: Any, web_server: Any, answer: Any, reason: str
    ) -> None:
        snapshot = make_watcher(f"crl+{web_server(answer).url}/a.crl").poll()
        assert re.search(reason, problems(snapshot)[0])

    def test_credentials_are_sent_and_not_reported(
        self, make_watcher: Any, authority: Authority, web_server: Any
    ) -> None:
        server = web_server(der(authority.revocation_list()))
        snapshot = make_watcher(f"crl+http://user:p%40ss@127.0.0.1:{server.port}/a.crl?token=t0ken").poll()
        assert server.requests[0].headers["Authorization"] == "Basic dXNlcjpwQHNz"
        assert server.requests[0].path == "/a.crl?token=t0ken"
        assert [report.name for report in snapshot.reports] == [f"crl+http://127.0.0.1:{server.port}/a.crl"]

    def test_redirect_is_followed_without_credentials(
        self, make_watcher: Any, authority: Authority, web_server: Any
    ) -> None:
        server = web_server(der(authority.revocation_list()))
        first = web_server(lambda _: (302, {"Location": f"{server.url}/b.crl"}, b""))
        snapshot = make_watcher(f"crl+http://user:pass@127.0.0.1:{first.port}/a.crl").poll()
        assert problems(snapshot) == []
        assert server.requests[0].headers["Authorization"] is None


class TestOcsp:
    def _responder(self, web_server: Any, authority: Authority, **answer: Any) -> Any:
        return web_server(lambda request: (200, {}, authority.answer(request.body, **answer)))

    def test_every_certificate_with_a_known_issuer_is_checked(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        server = self._responder(web_server, authority, revoked=(certificate_in(folder, "b"),))
        snapshot = make_watcher(folder, f"responder=ocsp+{server.url}/ocsp").poll()
        assert (revoked(snapshot), problems(snapshot)) == ({"b"}, [])
        assert sorted(statuses(snapshot)) == [("responder", "good"), ("responder", "revoked")]
        assert {request.headers["Content-Type"] for request in server.requests} == {"application/ocsp-request"}
        assert {request.path for request in server.requests} == {"/ocsp"}

    def test_default_name_of_a_responder(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        server = self._responder(web_server, authority)
        watcher = make_watcher(folder, f"ocsp+http://user:pass@127.0.0.1:{server.port}/ocsp")
        assert watcher.responders == [f"127.0.0.1:{server.port}"]

    def _only(
        self, make_watcher: Any, folder: Path, web_server: Any, authority: Authority, **answer: Any
    ) -> tuple[str, list[str]]:
        (folder / "b.pem").unlink(missing_ok=True)
        server = self._responder(web_server, authority, **answer)
        snapshot = make_watcher(folder, f"x=ocsp+{server.url}").poll()
        assert revoked(snapshot) == ({"a"} if statuses(snapshot) == [("x", "revoked")] else set())
        ((_, status),) = statuses(snapshot)
        return status, problems(snapshot)

    def test_authorized_responder(self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any) -> None:
        signer = authority.issue("responder", purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,))
        status = {"status": ocsp.OCSPCertStatus.REVOKED}
        assert self._only(make_watcher, folder, web_server, authority, signer=signer, **status) == ("revoked", [])

    @pytest.mark.parametrize("which", ["server", "expired", "stranger"])
    def test_unauthorized_responder(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any, which: str
    ) -> None:
        purposes = (ExtendedKeyUsageOID.OCSP_SIGNING,)
        signer = {
            "server": lambda: authority.issue("responder"),
            "expired": lambda: authority.issue("responder", purposes=purposes, days=-1),
            "stranger": lambda: Authority().issue("responder", purposes=purposes),
        }[which]()
        status, found = self._only(
            make_watcher, folder, web_server, authority, signer=signer, status=ocsp.OCSPCertStatus.REVOKED
        )
        assert status == "error"
        assert "authorized" in found[0]

    @pytest.mark.parametrize(
        ("answer", "status", "reason"),
        [
            ({"status": ocsp.OCSPCertStatus.UNKNOWN}, "unknown", None),
            ({"next_update": None}, "good", None),
            ({"this_update": NOW + DAY, "next_update": NOW + 2 * DAY}, "error", "future"),
            ({"this_update": NOW - 2 * DAY, "next_update": NOW - DAY}, "error", "out of date"),
            ({"this_update": NOW + timedelta(minutes=4)}, "good", None),
        ],
    )
    def test_status_and_validity(
        self,
        make_watcher: Any,
        authority: Authority,
        folder: Path,
        web_server: Any,
        answer: dict[str, Any],
        status: str,
        reason: str | None,
    ) -> None:
        actual, found = self._only(make_watcher, folder, web_server, authority, **answer)
        assert actual == status
        assert (reason in found[0]) if reason else found == []

    @pytest.mark.parametrize("next_update", [NOW + DAY, None])
    def test_age_validity_and_time_of_a_response(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any, next_update: Any
    ) -> None:
        (folder / "b.pem").unlink()
        this_update = NOW - timedelta(hours=3)
        server = self._responder(web_server, authority, this_update=this_update, next_update=next_update)
        ((_, result),) = make_watcher(folder, f"x=ocsp+{server.url}").poll().ocsp_responses
        assert result.certificate.this_update == this_update.timestamp()
        assert result.certificate.next_update == (next_update and next_update.timestamp())
        assert 0 < result.seconds < 10

    def test_invalid_response_has_a_time_and_no_age(self, make_watcher: Any, folder: Path, web_server: Any) -> None:
        (folder / "b.pem").unlink()
        server = web_server(lambda _: (500, {}, b""))
        ((_, result),) = make_watcher(folder, f"x=ocsp+{server.url}").poll().ocsp_responses
        assert (result.status, result.certificate.this_update) == ("error", None)
        assert result.seconds > 0

    def test_response_for_another_certificate(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        actual, found = self._only(make_watcher, folder, web_server, authority, about=certificate_in(folder, "b"))
        assert actual == "error"
        assert "another certificate" in found[0]

    @pytest.mark.parametrize(("key", "hash_algorithm"), _KEYS)
    def test_key_types(self, make_watcher: Any, tmp_path: Path, web_server: Any, key: Any, hash_algorithm: Any) -> None:
        authority = Authority("CA", key(), hash_algorithm)
        write(tmp_path / "ca.pem", pem(authority.certificate))
        write(tmp_path / "a.pem", pem(authority.issue("a")[0]))
        assert self._only(make_watcher, tmp_path, web_server, authority) == ("good", [])

    @pytest.mark.parametrize(
        ("answer", "status", "reason"),
        [
            ((500, {}, b""), "error", "HTTP status 500"),
            ((200, {}, b"junk"), "error", "not a valid OCSP response"),
            ((200, {}, b""), "error", "not a valid OCSP response"),
            (
                (200, {}, der(ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER))),
                "error",
                "try_later",
            ),
            (
                (200, {}, der(ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED))),
                "unknown",
                None,
            ),
        ],
    )
    def test_invalid_response(
        self, make_watcher: Any, folder: Path, web_server: Any, answer: Any, status: str, reason: str | None
    ) -> None:
        (folder / "b.pem").unlink()
        snapshot = make_watcher(folder, f"x=ocsp+{web_server(lambda _: answer).url}").poll()
        assert statuses(snapshot) == [("x", status)]
        assert (reason in problems(snapshot)[0]) if reason else problems(snapshot) == []

    def test_failing_responder_does_not_undo_revocations(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        answers = iter([ocsp.OCSPCertStatus.REVOKED, None, ocsp.OCSPCertStatus.GOOD])
        (folder / "b.pem").unlink()

        def answer(request: Any) -> Any:
            status = next(answers)
            return (200, {}, authority.answer(request.body, status=status)) if status else (503, {}, b"")

        watcher = make_watcher(folder, f"ocsp+{web_server(answer).url}")
        assert [revoked(watcher.poll()) for _ in range(3)] == [{"a"}, {"a"}, set()]

    def test_no_certificates_to_check_is_a_problem(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        (folder / "ca.pem").unlink()
        server = self._responder(web_server, authority)
        snapshot = make_watcher(folder, f"ocsp+{server.url}").poll()
        assert server.requests == []
        assert "their issuer" in problems(snapshot)[0]

    def test_remaining_certificates_are_checked_first_next_time(
        self, make_watcher: Any, authority: Authority, folder: Path, web_server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ocsp_client, "_SECONDS_PER_POLL", 0)
        server = self._responder(web_server, authority)
        watcher = make_watcher(folder, f"ocsp+{server.url}")
        for _ in range(2):
            watcher.poll()
        serials = {ocsp.load_der_ocsp_request(request.body).serial_number for request in server.requests}
        assert serials == {certificate_in(folder, name).serial_number for name in ("a", "b")}
        assert len(server.requests) == 2


@pytest.mark.parametrize("host", ["vault.example", "vault.example.", "Vault.Example."])
def test_dot_at_the_end_of_the_host_is_not_part_of_the_verified_name(
    make_watcher: Any,
    authority: Authority,
    web_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resolved: set[str],
    host: str,
) -> None:
    server_authority = ServerAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(server_authority.file))
    context, names = server_authority.context(VAULT), []
    context.sni_callback = lambda tls, name, original: names.append(name.lower())
    server = web_server(pem(authority.revocation_list()), context)
    (report,) = make_watcher(f"crl+https://{host}:{server.port}/list.crl").poll().reports
    assert (report.problem, names) == (None, ["vault.example"])
    assert {name.lower() for name in resolved} == {host.lower()}
