"""Verified issuer certificate authority lists (ISO/IEC 18013-5, Annex C), in COSE_Sign1 (RFC 9052)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trust_otel.metrics.moments import unix_time
from trust_otel.monitors.certificates.content import UnreadableError
from trust_otel.monitors.certificates.revocation import signature_is_valid
from trust_otel.monitors.trust_lists.content import InvalidSignatureError, ListContent
from trust_otel.monitors.trust_lists.signers import Signers

_COSE_SIGN1: Final = 18
_ALG: Final = 1
_X5CHAIN: Final = 33
_EDDSA: Final = -8
_ECDSA: Final[dict[int, tuple[hashes.HashAlgorithm, int]]] = {
    -7: (hashes.SHA256(), 32),
    -35: (hashes.SHA384(), 48),
    -36: (hashes.SHA512(), 66),
}
"""Hash algorithm, and bytes of each of the two numbers of a signature (RFC 9053, 2.1)."""


def read(data: bytes, signers: Signers | None) -> ListContent:
    """Read a VICAL.

    Args:
        data: The file.
        signers: Those who may sign it, or the CAs of those; `None` to read it without verification.

    Raises:
        UnreadableError: It is not a VICAL.
        InvalidSignatureError: None of the signers signed it.
    """
    message = _loaded(data)
    if isinstance(message, cbor2.CBORTag) and message.tag == _COSE_SIGN1:
        message = message.value
    if not (isinstance(message, (list, tuple)) and len(message) == 4 and isinstance(message[2], bytes)):
        raise UnreadableError("is not a COSE_Sign1 with a payload")
    if signers is not None:
        try:
            _verify(*message, signers=signers)
        except (ValueError, TypeError, LookupError, UnreadableError) as error:
            raise InvalidSignatureError(f"the signature is malformed ({type(error).__name__})") from error
    return _content(_loaded(message[2]))


def _verify(protected: bytes, unprotected: Any, payload: bytes, signature: bytes, *, signers: Signers) -> None:
    headers = _loaded(protected)
    chain = unprotected.get(_X5CHAIN) if isinstance(unprotected, Mapping) else None
    if not isinstance(headers, Mapping) or chain is None:
        raise InvalidSignatureError("the certificate of the signer is missing")
    signer = x509.load_der_x509_certificate(chain if isinstance(chain, bytes) else chain[0])
    signers.check(signer)
    algorithm = headers.get(_ALG)
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    hash_algorithm = None
    if algorithm in _ECDSA:
        hash_algorithm, length = _ECDSA[algorithm]
        if len(signature) != 2 * length:
            raise InvalidSignatureError("the signature has the wrong length")
        numbers = (int.from_bytes(part, "big") for part in (signature[:length], signature[length:]))
        signature = encode_dss_signature(*numbers)
    elif algorithm != _EDDSA:
        raise InvalidSignatureError("its signature algorithm is not supported")
    if not signature_is_valid(signer.public_key(), signature, signed, hash_algorithm):
        raise InvalidSignatureError("the list was changed after it was signed")


def _loaded(data: bytes) -> Any:
    try:
        return cbor2.loads(data)
    except Exception as error:  # also RecursionError, and errors of its decoders of tags
        raise UnreadableError("is not valid CBOR") from error


def _content(vical: Any) -> ListContent:
    infos = vical.get("certificateInfos") if isinstance(vical, Mapping) else None
    if not isinstance(infos, (list, tuple)) or not isinstance(vical.get("date"), datetime):
        raise UnreadableError("is not a VICAL: `date` or `certificateInfos` is missing")
    found = [info.get("certificate") for info in infos if isinstance(info, Mapping)]
    next_update, number = vical.get("nextUpdate"), vical.get("vicalIssueID")
    try:
        return ListContent(
            unix_time(vical["date"]),
            unix_time(next_update) if isinstance(next_update, datetime) else None,
            number if type(number) is int else None,
            len({each for each in found if isinstance(each, bytes)}),
        )
    except (ValueError, OverflowError) as error:
        raise UnreadableError("has an invalid date") from error
