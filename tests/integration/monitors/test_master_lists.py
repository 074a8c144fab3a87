"""Master lists that `openssl` signs and verifies."""

from __future__ import annotations

import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from testbed.trust_lists import MASTER_LIST_SIGNER, csca_certificates, master_list, new_signer
from tests.unit.monitors.certificates.authority import Authority, key_pem, pem, write
from trust_otel.monitors.trust_lists import icao
from trust_otel.monitors.trust_lists.content import InvalidSignatureError
from trust_otel.monitors.trust_lists.signers import Signers

_TYPE = "2.23.136.1.1.2"


def openssl(*arguments: object, data: bytes) -> bytes:
    command = ["openssl", "cms", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def signed(folder: Path, authority: Authority, key: object, *options: str) -> bytes:
    leaf, key = authority.issue(key=key, purposes=(MASTER_LIST_SIGNER,))
    signer = write(folder / "signer.pem", pem(leaf), key_pem(key))
    arguments = ("-sign", "-binary", "-nodetach", "-econtent_type", _TYPE, "-outform", "DER", "-signer", signer)
    return openssl(*arguments, *options, data=csca_certificates([authority.certificate]))


@pytest.mark.parametrize("options", [(), ("-md", "sha384"), ("-keyopt", "rsa_padding_mode:pss")])
def test_signature_of_openssl_with_rsa(authority: Authority, tmp_path: Path, options: tuple[str, ...]) -> None:
    data = signed(tmp_path, authority, rsa.generate_private_key(65537, 2048), *options)
    assert icao.read(data, Signers([authority.certificate])).anchors == 1


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.BrainpoolP384R1()])
def test_signature_of_openssl_with_ecdsa(authority: Authority, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    data = signed(tmp_path, authority, ec.generate_private_key(curve), "-md", "sha512")
    assert icao.read(data, Signers([authority.certificate])).anchors == 1


def test_signature_without_signed_attributes_is_invalid(authority: Authority, tmp_path: Path) -> None:
    data = signed(tmp_path, authority, None, "-noattr")
    with pytest.raises(InvalidSignatureError):
        icao.read(data, Signers([authority.certificate]))


def test_openssl_verifies_the_lists_of_the_tests(tmp_path: Path) -> None:
    signer = new_signer()
    anchors = write(tmp_path / "signer.pem", signer.pem)
    data = master_list(signer, [signer.certificate], issued=datetime.now(timezone.utc))
    verified = openssl("-verify", "-binary", "-inform", "DER", "-CAfile", anchors, "-purpose", "any", data=data)
    assert verified == csca_certificates([signer.certificate])
