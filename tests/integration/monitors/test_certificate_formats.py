"""Parsing of files that `openssl` creates."""

import subprocess

from tests.unit.monitors.certificates.authority import Authority, key_pem, pem
from trust_otel.monitors.certificates.formats import parse


def test_pkcs12_with_an_empty_password(authority: Authority) -> None:
    leaf, key = authority.issue()
    command = ["openssl", "pkcs12", "-export", "-passout", "pass:"]
    data = subprocess.run(command, input=key_pem(key) + pem(leaf), capture_output=True, check=True).stdout
    assert [certificate.x509 for certificate in parse(data, lambda: b"").certificates] == [leaf]
