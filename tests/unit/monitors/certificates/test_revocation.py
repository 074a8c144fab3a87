"""Revocation: by lists and by OCSP, each believed only with the signature of whoever may sign."""

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
from trust_otel.monitors.certificates import ocsp as asking
from trust_otel.monitors.certificates import revocation
from trust_otel.monitors.certificates.content import Certificate
from trust_otel.monitors.certificates.revocation import issued


def revoked(look: Any) -> set[str]:
    return {name for name, watched in look.certificates.items() if watched.revoked}


def problems(look: Any) -> list[str]:
    return [report.problem for report in look.reports if report.problem]


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Path:
    """Two certificates and their issuer's."""
    write(tmp_path / "ca.pem", pem(authority.certificate))
    for name in ("a", "b"):
        write(tmp_path / f"{name}.pem", pem(authority.issue(name)[0]))
    return tmp_path


def held(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


_KEYS = [
    (lambda: ec.generate_private_key(ec.SECP384R1()), SHA256()),
    (lambda: rsa.generate_private_key(65537, 2048), SHA256()),
    (ed25519.Ed25519PrivateKey.generate, None),
]


class TestIssuers:
    @pytest.mark.parametrize(("key", "hash_algorithm"), _KEYS)
    def test_an_issuer_is_known_by_name_and_signature(self, key: Any, hash_algorithm: Any) -> None:
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

    def test_a_key_of_an_unknown_kind_issued_nothing(self) -> None:
        authority = Authority(key=dsa.generate_private_key(2048))
        assert not issued(authority.certificate, authority.certificate)

    def test_a_signature_is_verified_once(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[Any] = []

        def count(*arguments: Any) -> bool:
            calls.append(arguments)
            return issued(*arguments)

        monkeypatch.setattr(revocation, "issued", count)
        certificates = [Certificate(authority.certificate), Certificate(authority.issue()[0])]
        issuers = revocation.Issuers()
        assert issuers.of(certificates) == issuers.of(certificates)
        assert len(calls) == 2


class TestLists:
    def test_a_list_among_the_files_revokes_and_shows_its_end(
        self, watch: Any, authority: Authority, folder: Path
    ) -> None:
        write(folder / "issuing.crl", der(authority.revocation_list(held(folder, "a"))))
        look = watch(folder).look()
        assert (revoked(look), problems(look)) == ({"a"}, [])
        assert look.next_updates == {"issuing": (NOW + DAY).timestamp()}

    def test_a_list_at_an_address(self, watch: Any, authority: Authority, folder: Path, web_server: Any) -> None:
        server = web_server(pem(authority.revocation_list(held(folder, "b"))))
        look = watch(folder, f"crl+{server.url}/pki/issuing-ca.crl").look()
        assert (revoked(look), problems(look)) == ({"b"}, [])
        assert list(look.next_updates) == ["issuing-ca"]
        assert list(watch(f"crl+{server.url}").look().next_updates) == ["127.0.0.1"]
        assert list(watch(f"x=crl+{server.url}/a.crl").look().next_updates) == ["x"]

    def test_an_unchanged_list_is_not_sent_again(self, watch: Any, authority: Authority, web_server: Any) -> None:
        body, asked = der(authority.revocation_list()), []

        def answer(request: Any) -> Any:
            asked.append(request.headers["If-None-Match"])
            return (304, {}, b"") if asked[-1] == '"7"' else (200, {"ETag": '"7"'}, body)

        watching = watch(f"crl+{web_server(answer).url}/a.crl")
        for _ in range(3):
            look = watching.look()
        assert asked == [None, '"7"', '"7"']
        assert (list(look.next_updates), problems(look)) == (["a"], [])

    def test_a_list_that_is_overdue_stays_shown_and_revokes(
        self, watch: Any, authority: Authority, folder: Path
    ) -> None:
        overdue = authority.revocation_list(held(folder, "a"), next_update=NOW - DAY)
        write(folder / "x.crl", pem(overdue))
        look = watch(folder).look()
        assert revoked(look) == {"a"}
        assert look.next_updates == {"x": (NOW - DAY).timestamp()}

    def test_a_list_of_an_issuer_that_is_not_watched_is_shown_only(
        self, watch: Any, authority: Authority, folder: Path
    ) -> None:
        (folder / "ca.pem").unlink()
        write(folder / "x.crl", pem(authority.revocation_list(held(folder, "a"))))
        look = watch(folder).look()
        assert (revoked(look), problems(look), list(look.next_updates)) == (set(), [], ["x"])

    def test_a_list_of_a_namesake_is_a_problem_and_revokes_nothing(self, watch: Any, folder: Path) -> None:
        write(folder / "x.crl", pem(Authority().revocation_list(held(folder, "a"))))
        look = watch(folder).look()
        assert revoked(look) == set()
        assert problems(look) == ["the revocation list x: its signature is not that of its issuer"]

    def test_a_forged_list_takes_no_revocation_back(self, watch: Any, authority: Authority, folder: Path) -> None:
        write(folder / "x.crl", pem(authority.revocation_list(held(folder, "a"))))
        watching = watch(folder)
        watching.look()
        write(folder / "x.crl", pem(Authority().revocation_list()))
        look = watching.look()
        assert revoked(look) == {"a"}
        assert problems(look)
        write(folder / "x.crl", pem(authority.revocation_list()))
        assert revoked(watching.look()) == set()

    def test_a_list_of_one_issuer_says_nothing_of_another_s_serial_number(
        self, watch: Any, authority: Authority, folder: Path
    ) -> None:
        other = Authority("Other CA")
        write(folder / "other.pem", pem(other.certificate))
        write(folder / "x.crl", pem(other.revocation_list(held(folder, "a"))))
        look = watch(folder).look()
        assert (revoked(look), problems(look)) == (set(), [])

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            (x509.ReasonFlags.key_compromise, {"a"}),
            (x509.ReasonFlags.certificate_hold, {"a"}),
            (x509.ReasonFlags.remove_from_crl, set()),
        ],
    )
    def test_the_reason(
        self, watch: Any, authority: Authority, folder: Path, reason: x509.ReasonFlags, expected: set[str]
    ) -> None:
        write(folder / "x.crl", pem(authority.revocation_list(held(folder, "a"), reason=reason)))
        assert revoked(watch(folder).look()) == expected

    def test_an_indirect_list_is_refused(self, watch: Any, authority: Authority, folder: Path) -> None:
        write(folder / "x.crl", pem(authority.revocation_list(held(folder, "a"), indirect=True)))
        look = watch(folder).look()
        assert revoked(look) == set()
        assert "indirect" in problems(look)[0]

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
    def test_an_answer_without_a_list_is_a_problem(self, watch: Any, web_server: Any, answer: Any, reason: str) -> None:
        look = watch(f"crl+{web_server(answer).url}/a.crl").look()
        assert re.search(reason, problems(look)[0])

    def test_credentials_are_sent_and_nowhere_shown(self, watch: Any, authority: Authority, web_server: Any) -> None:
        server = web_server(der(authority.revocation_list()))
        look = watch(f"crl+http://user:p%40ss@127.0.0.1:{server.port}/a.crl?token=t0ken").look()
        assert server.requests[0].headers["Authorization"] == "Basic dXNlcjpwQHNz"
        assert server.requests[0].path == "/a.crl?token=t0ken"
        assert [report.name for report in look.reports] == [f"crl+http://127.0.0.1:{server.port}/a.crl"]

    def test_a_redirection_is_followed_without_the_credentials(
        self, watch: Any, authority: Authority, web_server: Any
    ) -> None:
        server = web_server(der(authority.revocation_list()))
        first = web_server(lambda _: (302, {"Location": f"{server.url}/b.crl"}, b""))
        look = watch(f"crl+http://user:pass@127.0.0.1:{first.port}/a.crl").look()
        assert problems(look) == []
        assert server.requests[0].headers["Authorization"] is None


class TestOcsp:
    def _responder(self, web_server: Any, authority: Authority, **answer: Any) -> Any:
        return web_server(lambda request: (200, {}, authority.answer(request.body, **answer)))

    def test_every_certificate_with_its_issuer_is_asked_about(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        server = self._responder(web_server, authority, revoked=(held(folder, "b"),))
        look = watch(folder, f"responder=ocsp+{server.url}/ocsp").look()
        assert (revoked(look), problems(look)) == ({"b"}, [])
        assert sorted(look.answers) == [("responder", "good"), ("responder", "revoked")]
        assert {request.headers["Content-Type"] for request in server.requests} == {"application/ocsp-request"}
        assert {request.path for request in server.requests} == {"/ocsp"}

    def test_the_responder_is_called_as_its_address(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        server = self._responder(web_server, authority)
        watching = watch(folder, f"ocsp+http://user:pass@127.0.0.1:{server.port}/ocsp")
        assert watching.responders == [f"127.0.0.1:{server.port}"]

    def _only(
        self, watch: Any, folder: Path, web_server: Any, authority: Authority, **answer: Any
    ) -> tuple[str, list[str]]:
        (folder / "b.pem").unlink(missing_ok=True)
        server = self._responder(web_server, authority, **answer)
        look = watch(folder, f"x=ocsp+{server.url}").look()
        assert revoked(look) == ({"a"} if look.answers == [("x", "revoked")] else set())
        ((_, status),) = look.answers
        return status, problems(look)

    def test_a_signer_whom_the_issuer_authorized_is_believed(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        signer = authority.issue("responder", purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,))
        status = {"status": ocsp.OCSPCertStatus.REVOKED}
        assert self._only(watch, folder, web_server, authority, signer=signer, **status) == ("revoked", [])

    @pytest.mark.parametrize("which", ["server", "expired", "stranger"])
    def test_a_signer_whom_nobody_authorized_is_not_believed(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any, which: str
    ) -> None:
        purposes = (ExtendedKeyUsageOID.OCSP_SIGNING,)
        signer = {
            "server": lambda: authority.issue("responder"),
            "expired": lambda: authority.issue("responder", purposes=purposes, days=-1),
            "stranger": lambda: Authority().issue("responder", purposes=purposes),
        }[which]()
        status, said = self._only(
            watch, folder, web_server, authority, signer=signer, status=ocsp.OCSPCertStatus.REVOKED
        )
        assert status == "error"
        assert "authorized" in said[0]

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
    def test_the_window_and_the_status(
        self,
        watch: Any,
        authority: Authority,
        folder: Path,
        web_server: Any,
        answer: dict[str, Any],
        status: str,
        reason: str | None,
    ) -> None:
        said, found = self._only(watch, folder, web_server, authority, **answer)
        assert said == status
        assert (reason in found[0]) if reason else found == []

    def test_an_answer_about_another_certificate_is_none(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        said, found = self._only(watch, folder, web_server, authority, about=held(folder, "b"))
        assert said == "error"
        assert "another certificate" in found[0]

    @pytest.mark.parametrize(("key", "hash_algorithm"), _KEYS)
    def test_keys(self, watch: Any, tmp_path: Path, web_server: Any, key: Any, hash_algorithm: Any) -> None:
        authority = Authority("CA", key(), hash_algorithm)
        write(tmp_path / "ca.pem", pem(authority.certificate))
        write(tmp_path / "a.pem", pem(authority.issue("a")[0]))
        assert self._only(watch, tmp_path, web_server, authority) == ("good", [])

    @pytest.mark.parametrize(
        ("answer", "status", "reason"),
        [
            ((500, {}, b""), "error", "HTTP status 500"),
            ((200, {}, b"junk"), "error", "no OCSP response"),
            ((200, {}, b""), "error", "no OCSP response"),
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
    def test_no_answer(
        self, watch: Any, folder: Path, web_server: Any, answer: Any, status: str, reason: str | None
    ) -> None:
        (folder / "b.pem").unlink()
        look = watch(folder, f"x=ocsp+{web_server(lambda _: answer).url}").look()
        assert look.answers == [("x", status)]
        assert (reason in problems(look)[0]) if reason else problems(look) == []

    def test_a_responder_that_fails_takes_no_revocation_back(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        answers = iter([ocsp.OCSPCertStatus.REVOKED, None, ocsp.OCSPCertStatus.GOOD])
        (folder / "b.pem").unlink()

        def answer(request: Any) -> Any:
            status = next(answers)
            return (200, {}, authority.answer(request.body, status=status)) if status else (503, {}, b"")

        watching = watch(folder, f"ocsp+{web_server(answer).url}")
        assert [revoked(watching.look()) for _ in range(3)] == [{"a"}, {"a"}, set()]

    def test_nothing_to_ask_about_is_a_problem(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any
    ) -> None:
        (folder / "ca.pem").unlink()
        server = self._responder(web_server, authority)
        look = watch(folder, f"ocsp+{server.url}").look()
        assert server.requests == []
        assert "their issuer" in problems(look)[0]

    def test_whom_time_did_not_suffice_for_is_asked_first_the_next_time(
        self, watch: Any, authority: Authority, folder: Path, web_server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asking, "_SECONDS_PER_LOOK", 0)
        server = self._responder(web_server, authority)
        watching = watch(folder, f"ocsp+{server.url}")
        for _ in range(2):
            watching.look()
        serials = {ocsp.load_der_ocsp_request(request.body).serial_number for request in server.requests}
        assert serials == {held(folder, name).serial_number for name in ("a", "b")}
        assert len(server.requests) == 2
