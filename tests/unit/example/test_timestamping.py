"""Timestamps (RFC 3161): what they contain, and which requests are refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from trust_service.authority import Authority
from trust_service.timestamping import ACCURACY_SECONDS, POLICY, TimestampingAuthority

from testbed.load_generator.timestamps import failure_of, timestamp_query


@pytest.fixture(scope="module")
def timestamping() -> TimestampingAuthority:
    return TimestampingAuthority(Authority(), lambda: True)


def test_a_timestamp_contains_what_was_asked_the_time_and_the_accuracy(timestamping: TimestampingAuthority) -> None:
    query = timestamp_query(b"a contract", policy=POLICY, nonce=17)
    before = datetime.now(timezone.utc)
    response = tsp.TimeStampResp.load(timestamping.respond(query))
    assert response["status"].native["status"] == "granted"
    stated = response["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed.native
    assert before <= stated["gen_time"] <= datetime.now(timezone.utc)
    assert stated["message_imprint"]["hashed_message"] == sha256(b"a contract").digest()
    assert (stated["policy"], stated["nonce"], stated["accuracy"]["seconds"]) == (POLICY, 17, ACCURACY_SECONDS)


def test_every_timestamp_has_another_serial_number(timestamping: TimestampingAuthority) -> None:
    responses = [tsp.TimeStampResp.load(timestamping.respond(timestamp_query(b"x"))) for _ in range(3)]
    contents = [each["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed for each in responses]
    assert len({each["serial_number"].native for each in contents}) == 3


def test_the_token_is_signed_by_the_certificate_that_it_names(timestamping: TimestampingAuthority) -> None:
    signed = tsp.TimeStampResp.load(timestamping.respond(timestamp_query(b"x")))["time_stamp_token"]["content"]
    (signer,) = signed["signer_infos"]
    attributes = {each["type"].native: each["values"][0] for each in signer["signed_attrs"]}
    content = bytes(signed["encap_content_info"]["content"])
    assert attributes["message_digest"].native == sha256(content).digest()
    own = timestamping.certificate.public_bytes(Encoding.DER)
    assert attributes["signing_certificate_v2"].native["certs"][0]["cert_hash"] == sha256(own).digest()
    key = timestamping.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    text = cms.CMSAttributes(list(signer["signed_attrs"])).dump()
    key.verify(signer["signature"].native, text, ec.ECDSA(hashes.SHA256()))


def test_the_certificate_is_included_if_the_request_asks_for_it(timestamping: TimestampingAuthority) -> None:
    def certificates(*, certificate: bool) -> Any:
        query = timestamp_query(b"x", certificate=certificate)
        return tsp.TimeStampResp.load(timestamping.respond(query))["time_stamp_token"]["content"]["certificates"]

    (included,) = certificates(certificate=True)
    assert included.chosen.dump() == timestamping.certificate.public_bytes(Encoding.DER)
    assert certificates(certificate=False).native is None


def test_the_only_purpose_of_the_certificate_is_critical(timestamping: TimestampingAuthority) -> None:
    purpose = timestamping.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert purpose.critical
    assert list(purpose.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


@pytest.mark.parametrize(
    ("query", "failure"),
    [
        (b"", "badDataFormat"),
        (b"not a request", "badDataFormat"),
        (timestamp_query(b"x")[:-2], "badDataFormat"),
        (timestamp_query(b"x") + b"\0", "badDataFormat"),
        (timestamp_query(b"x", digest=b"short"), "badDataFormat"),
        (timestamp_query(b"x", algorithm="sha1"), "badAlg"),
        (timestamp_query(b"x", algorithm="1.2.3.4"), "badAlg"),
        (timestamp_query(b"x", version=2), "badRequest"),
        (timestamp_query(b"x", policy="1.2.3.4"), "unacceptedPolicy"),
        (timestamp_query(b"x", extension="1.2.3.4"), "unacceptedExtension"),
    ],
)
def test_a_request_that_the_policy_does_not_allow_is_refused_with_the_reason(
    timestamping: TimestampingAuthority, query: bytes, failure: str
) -> None:
    assert failure_of(timestamping.respond(query)) == failure


def test_without_an_exact_clock_no_time_is_available() -> None:
    exact = [False, True]
    timestamping = TimestampingAuthority(Authority(), lambda: exact.pop(0))
    assert failure_of(timestamping.respond(timestamp_query(b"x"))) == "timeNotAvailable"
    assert failure_of(timestamping.respond(timestamp_query(b"x"))) is None


def test_a_renewal_changes_key_and_certificate() -> None:
    timestamping = TimestampingAuthority(Authority(), lambda: True)
    old = timestamping.certificate
    timestamping.renew()
    assert timestamping.certificate.public_key() != old.public_key()
    assert timestamping.certificate.not_valid_after_utc - old.not_valid_after_utc < timedelta(minutes=5)
