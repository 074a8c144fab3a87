"""A timestamping authority (RFC 3161)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, Literal

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from trust_otel import get_metrics

from .authority import Authority, new_key, pem

metrics = get_metrics()

Failure = Literal[
    "badAlg",
    "badRequest",
    "badDataFormat",
    "timeNotAvailable",
    "unacceptedPolicy",
    "unacceptedExtension",
    "systemFailure",
]

POLICY = "0.4.0.2023.1.1"
"""The policy of best practices (ETSI EN 319 421, 5.2)."""

ACCURACY_SECONDS = 1
"""Accuracy that this policy requires."""

PROFILE = "tsa"

# ETSI TS 119 312.
_DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
# Names that asn1crypto gives to bits of PKIFailureInfo.
_FAILURE_BITS: dict[Failure, str] = {
    "badAlg": "bad_alg",
    "badRequest": "bad_request",
    "badDataFormat": "bad_data_format",
    "timeNotAvailable": "time_not_available",
    "unacceptedPolicy": "unaccepted_policy",
    "unacceptedExtension": "unaccepted_extensions",
    "systemFailure": "system_failure",
}
_VALIDITY = timedelta(days=365)


class _Response(tsp.TimeStampResp):  # type: ignore[misc]  # the library is untyped
    # The library's own requires a token in every response.
    _fields = [("status", tsp.PKIStatusInfo), ("time_stamp_token", cms.ContentInfo, {"optional": True})]  # noqa: RUF012


class TimestampingAuthority:
    """Issues timestamps with its own key and certificate.

    Args:
        authority: Issues its certificate.
        clock_is_exact: Whether the clock is within the accuracy that timestamps state.

    Attributes:
        usable: Whether the key can be used.
    """

    certificate: x509.Certificate
    pem: str

    def __init__(self, authority: Authority, clock_is_exact: Callable[[], bool]) -> None:
        self.usable = True
        self._authority = authority
        self._clock_is_exact = clock_is_exact
        self.renew()

    def renew(self) -> None:
        """Generate a new key, and issue its certificate."""
        key = new_key(PROFILE)
        self.certificate = self._authority.issue_timestamping(key.public_key(), _VALIDITY)
        self._key, self.pem = key, pem(self.certificate)
        self._asn1_certificate = asn1_x509.Certificate.load(self.certificate.public_bytes(Encoding.DER))

    def respond(self, request: bytes) -> bytes:
        """The response to a request, both in DER."""
        with metrics.certificate_operation("timestamp", certificate_type="tsa", profile=PROFILE) as op:
            asked = _read(request)
            failure = self._problem_of(asked) if isinstance(asked, tsp.TimeStampReq) else asked
            if failure is not None:
                op.fail(failure)
                metrics.record_timestamp_response("rejection", failure=failure)
                return _refusal(failure)
            response = self._granted(asked)
            metrics.record_timestamp_response("granted", accuracy=ACCURACY_SECONDS)
            return response

    def _problem_of(self, asked: Any) -> Failure | None:
        imprint = asked["message_imprint"]
        size = _DIGEST_SIZES.get(imprint["hash_algorithm"]["algorithm"].native)
        if asked["version"].native != "v1":
            return "badRequest"
        if size is None:
            return "badAlg"
        if len(imprint["hashed_message"].native) != size:
            return "badDataFormat"
        if asked["req_policy"].native not in (None, POLICY):
            return "unacceptedPolicy"
        if asked["extensions"].native:
            return "unacceptedExtension"
        if not self._clock_is_exact():
            return "timeNotAvailable"
        return None if self.usable else "systemFailure"

    def _granted(self, asked: Any) -> bytes:
        token = self._signed(_information(asked).dump(), with_certificate=asked["cert_req"].native)
        response: bytes = _Response({"status": {"status": "granted"}, "time_stamp_token": token}).dump()
        return response

    def _signed(self, information: bytes, *, with_certificate: bool) -> cms.ContentInfo:
        certificate = self._asn1_certificate
        attributes = _attributes(information, certificate)
        algorithm = {"algorithm": "sha256"}
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": {
                    "issuer_and_serial_number": {
                        "issuer": certificate.issuer,
                        "serial_number": certificate.serial_number,
                    }
                },
                "digest_algorithm": algorithm,
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": self._key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
            }
        )
        signed: dict[str, object] = {
            "version": "v3",
            "digest_algorithms": [algorithm],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(information)},
            "signer_infos": [signer],
        }
        if with_certificate:
            signed["certificates"] = [certificate]
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})


def _read(request: bytes) -> Any:
    """The request, or why it is none."""
    try:
        asked = tsp.TimeStampReq.load(request, strict=True)
        # Values are parsed when they are read.
        _ = asked.native
    except (ValueError, TypeError, OverflowError):
        return "badDataFormat"
    return asked


def _information(asked: Any) -> tsp.TSTInfo:
    content: dict[str, object] = {
        "version": "v1",
        "policy": POLICY,
        "message_imprint": asked["message_imprint"],
        "serial_number": secrets.randbits(64),
        "gen_time": datetime.now(timezone.utc),
        "accuracy": {"seconds": ACCURACY_SECONDS},
    }
    if asked["nonce"].native is not None:
        content["nonce"] = asked["nonce"].native
    return tsp.TSTInfo(content)


def _attributes(information: bytes, certificate: Any) -> cms.CMSAttributes:
    """The signed attributes (RFC 3161, 2.4.2; RFC 5816)."""
    identifier = tsp.ESSCertIDv2(
        {
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "cert_hash": sha256(certificate.dump()).digest(),
        }
    )
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [sha256(information).digest()]},
            {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [identifier]})]},
        ]
    )


def _refusal(failure: Failure) -> bytes:
    status = {"status": "rejection", "fail_info": {_FAILURE_BITS[failure]}}
    response: bytes = _Response({"status": status}).dump()
    return response
