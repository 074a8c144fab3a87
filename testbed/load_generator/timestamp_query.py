"""Requests for timestamps (RFC 3161, 2.4.1)."""

from __future__ import annotations

import hashlib

from asn1crypto import tsp


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
