"""Requests for timestamps, and their responses (RFC 3161)."""

from __future__ import annotations

import hashlib

from asn1crypto import parser, tsp

# Names of PKIFailureInfo by those of asn1crypto.
_FAILURES = {
    "bad_alg": "badAlg",
    "bad_request": "badRequest",
    "bad_data_format": "badDataFormat",
    "time_not_available": "timeNotAvailable",
    "unaccepted_policy": "unacceptedPolicy",
    "unaccepted_extensions": "unacceptedExtension",
    "add_info_not_available": "addInfoNotAvailable",
    "system_failure": "systemFailure",
}


def timestamp_query(
    data: bytes,
    *,
    algorithm: str = "sha256",
    digest: bytes | None = None,
    policy: str | None = None,
    nonce: int | None = None,
    certificate: bool = True,
    version: int = 1,
    extension: str | None = None,
) -> bytes:
    """A request in DER for a timestamp of the data.

    Args:
        data: What the timestamp is for.
        algorithm: Name or object identifier of the hash algorithm.
        digest: The hash; by default that of the data, of SHA-256 for an algorithm that `hashlib` does not have.
        policy: Object identifier of the policy.
        nonce: Number that the response must repeat.
        certificate: Whether the response must include the certificate.
        version: Version of the request.
        extension: Object identifier of an extension.
    """
    known = algorithm if algorithm in hashlib.algorithms_available else "sha256"
    query: dict[str, object] = {
        "version": version,
        "message_imprint": {
            "hash_algorithm": {"algorithm": algorithm},
            "hashed_message": hashlib.new(known, data).digest() if digest is None else digest,
        },
        "cert_req": certificate,
    }
    if policy is not None:
        query["req_policy"] = policy
    if nonce is not None:
        query["nonce"] = nonce
    if extension is not None:
        query["extensions"] = [{"extn_id": extension, "critical": False, "extn_value": b"\x05\x00"}]
    encoded: bytes = tsp.TimeStampReq(query).dump()
    return encoded


def failure_of(response: bytes) -> str | None:
    """Why a response refuses a timestamp; None if it contains one."""
    # asn1crypto does not parse a response without a token, only its status.
    _, _, _, _, content, _ = parser.parse(response)
    status = tsp.PKIStatusInfo.load(content).native
    if status["status"] in ("granted", "granted_with_mods"):
        return None
    (failure,) = status["fail_info"]
    return _FAILURES[failure]
