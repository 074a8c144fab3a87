"""Parsing of files that `openssl` creates."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.monitors.certificates.authority import Authority, key_pem, pem, write
from trust_otel.monitors.certificates.content import Content
from trust_otel.monitors.certificates.formats import parse
from trust_otel.monitors.certificates.watcher import CertificateWatcher
from trust_otel.setting_lists import certificate_sources


def openssl(*arguments: object, data: bytes) -> bytes:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def found(content: Content) -> tuple[int, int, str | None]:
    return len(content.certificates), len(content.crls), content.problem


@pytest.mark.parametrize("options", [[], ["-legacy"], ["-nokeys"], ["-keypbe", "NONE", "-certpbe", "NONE", "-nomac"]])
def test_pkcs12_with_an_empty_password(authority: Authority, options: list[str]) -> None:
    leaf, key = authority.issue()
    data = openssl("pkcs12", "-export", "-passout", "pass:", *options, data=key_pem(key) + pem(leaf))
    assert [certificate.x509 for certificate in parse(data, lambda: b"").certificates] == [leaf]


def test_trusted_certificate(authority: Authority) -> None:
    options = ("-trustout", "-addtrust", "serverAuth", "-addreject", "clientAuth", "-setalias", "front")
    data = openssl("x509", *options, data=pem(authority.certificate))
    assert b"BEGIN TRUSTED CERTIFICATE" in data
    assert found(parse(data)) == (1, 0, None)


@pytest.mark.parametrize("form", ["pem", "der"])
def test_pkcs7_with_certificates_and_a_revocation_list(authority: Authority, tmp_path: Path, form: str) -> None:
    leaf, _ = authority.issue()
    chain = write(tmp_path / "chain.pem", pem(leaf, authority.certificate))
    crl = pem(authority.revocation_list())
    assert found(parse(openssl("crl2pkcs7", "-certfile", chain, "-outform", form, data=crl))) == (2, 1, None)
    assert found(parse(openssl("crl2pkcs7", "-outform", form, data=crl))) == (0, 1, None)


@pytest.mark.parametrize("options", [["-stream"], ["-nodetach"], ["-nodetach", "-stream"]])
@pytest.mark.parametrize("form", ["pem", "der"])
def test_signed_message(authority: Authority, tmp_path: Path, options: list[str], form: str) -> None:
    leaf, key = authority.issue()
    signer = write(tmp_path / "signer.pem", pem(leaf), key_pem(key))
    data = openssl("cms", "-sign", "-binary", "-signer", signer, "-outform", form, *options, data=b"message")
    assert found(parse(data)) == (1, 0, None)


def test_encrypted_message_is_named(authority: Authority, tmp_path: Path) -> None:
    recipient = write(tmp_path / "recipient.pem", pem(authority.certificate))
    data = openssl("cms", "-encrypt", "-outform", "pem", recipient, data=b"message")
    assert parse(data) == Content(other="a CMS message without certificates")


@pytest.mark.parametrize(
    "command",
    [
        ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ["genpkey", "-algorithm", "ED448"],
        ["ecparam", "-name", "prime256v1", "-genkey"],
        ["genrsa", "-traditional", "2048"],
    ],
)
@pytest.mark.parametrize("form", ["pem", "der"])
def test_private_key_is_named(command: list[str], form: str) -> None:
    key = openssl(*command, data=b"")
    data = key if form == "pem" else openssl("pkey", "-outform", "der", data=key)
    assert parse(data) == Content(other="a private key")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (["ec_paramgen_curve:brainpoolP256r1"], None),
        (["ec_paramgen_curve:P-256", "ec_param_enc:explicit"], None),
        (["ec_paramgen_curve:brainpoolP256r1", "ec_param_enc:explicit"], "key is not supported"),
        (["ec_paramgen_curve:brainpoolP160r1"], "key is not supported"),
        (["ec_paramgen_curve:sect163k1"], "key is not supported"),
    ],
)
def test_revocation_list_of_an_issuer_with_another_curve(tmp_path: Path, key: list[str], problem: str | None) -> None:
    options = [option for value in key for option in ("-pkeyopt", value)]
    (tmp_path / "ca.key").write_bytes(openssl("genpkey", "-algorithm", "EC", *options, data=b""))
    certificate = openssl("req", "-x509", "-key", tmp_path / "ca.key", "-subj", "/CN=ca", data=b"")
    write(tmp_path / "tls" / "ca.pem", certificate)
    write(tmp_path / "index")
    write(tmp_path / "ca.cnf", f"[ca]\ndefault_ca=a\n[a]\ndatabase={tmp_path}/index\ndefault_md=sha256\n".encode())
    files = ("-keyfile", tmp_path / "ca.key", "-cert", tmp_path / "tls" / "ca.pem")
    crl = openssl("ca", "-config", tmp_path / "ca.cnf", "-gencrl", "-crldays", 7, *files, data=b"")
    write(tmp_path / "tls" / "list.crl", crl)
    watcher = CertificateWatcher(certificate_sources(str(tmp_path / "tls")), None, 128)
    snapshot = watcher.poll()
    assert (list(snapshot.certificates), list(snapshot.crls)) == (["ca"], ["list"])
    assert [report.problem for report in snapshot.reports] == [
        problem
        and f"the revocation list list: its signature cannot be verified, because the type or the curve of "
        f"its issuer's {problem}"
    ]
