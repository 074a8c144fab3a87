"""Master lists of CSCA certificates (ICAO Doc 9303-12, 8), in CMS SignedData (RFC 5652)."""

from __future__ import annotations

import hashlib
from typing import Any, Final

# The library fixes the names of content types at their first use. These modules add some, which a service that imports
# them later would not get.
from asn1crypto import (
    cms,
    core,
    pdf,  # noqa: F401
    tsp,  # noqa: F401
)
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15

from trust_otel.metrics.moments import unix_time
from trust_otel.monitors.certificates.content import UnreadableError
from trust_otel.monitors.certificates.revocation import signature_is_valid
from trust_otel.monitors.trust_lists.content import InvalidSignatureError, ListContent
from trust_otel.monitors.trust_lists.signers import Signers

_MASTER_LIST: Final = "2.23.136.1.1.2"  # id-icao-cscaMasterList
_MASTER_LIST_SIGNER: Final = x509.ObjectIdentifier("2.23.136.1.1.3")  # id-icao-cscaMasterListSigningKey
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class _Certificates(core.SetOf):  # type: ignore[misc]  # the library is untyped
    _child_spec = asn1_x509.Certificate


class _MasterList(core.Sequence):  # type: ignore[misc]
    _fields = [("version", core.Integer), ("cert_list", _Certificates)]  # noqa: RUF012


def read(data: bytes, signers: Signers | None) -> ListContent:
    """Read a master list.

    Args:
        data: The file, in DER.
        signers: Those who may sign it, or the CSCAs of those; `None` to read it without verification.

    Raises:
        UnreadableError: It is not a master list.
        InvalidSignatureError: None of the signers signed it.
    """
    try:
        signed_data = cms.ContentInfo.load(data, strict=True)["content"]
        content = signed_data["encap_content_info"]
        if content["content_type"].dotted != _MASTER_LIST:
            raise UnreadableError("is not a master list (id-icao-cscaMasterList)")
        encoded = content["content"].native
        certificates = {each.dump() for each in _MasterList.load(encoded, strict=True)["cert_list"]}
        infos = list(signed_data["signer_infos"])
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnreadableError("is not a master list in DER") from error
    if signers is not None:
        info = _verified(infos, encoded, _embedded(signed_data), signers)
        infos = [info]
    return ListContent(_signing_time(infos), None, None, len(certificates))


def _verified(infos: list[Any], encoded: bytes, embedded: list[x509.Certificate], signers: Signers) -> Any:
    reason = "it is not signed"
    for info in infos:
        try:
            _verify(info, encoded, [*embedded, *signers.certificates], signers)
        except InvalidSignatureError as error:
            reason = str(error)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            reason = f"the signature is malformed ({type(error).__name__})"
        else:
            return info
    raise InvalidSignatureError(reason)


def _verify(info: Any, encoded: bytes, certificates: list[x509.Certificate], signers: Signers) -> None:
    signer = _signer(info["sid"], certificates)
    signers.check(signer, _MASTER_LIST_SIGNER)
    digest_name = info["digest_algorithm"]["algorithm"].native
    if digest_name not in _HASHES:
        raise InvalidSignatureError("its hash algorithm is not allowed")
    attributes = {each["type"].dotted: each["values"] for each in info["signed_attrs"]}
    content_type, digest = (attributes[oid][0] for oid in ("1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"))
    if content_type.dotted != _MASTER_LIST or digest.native != hashlib.new(digest_name, encoded).digest():
        raise InvalidSignatureError("the list was changed after it was signed")
    algorithm, padding = _algorithm(info["signature_algorithm"], digest_name)
    # RFC 5652, 5.4: signed as a SET, not with the tag that they have in the message.
    data = info["signed_attrs"].untag().dump()
    if not signature_is_valid(signer.public_key(), info["signature"].native, data, algorithm, padding):
        raise InvalidSignatureError("the list was changed after it was signed")


def _signer(sid: Any, certificates: list[x509.Certificate]) -> x509.Certificate:
    for certificate in certificates:
        if sid.name == "issuer_and_serial_number":
            issuer = sid.chosen["issuer"].dump()
            if (certificate.issuer.public_bytes(), certificate.serial_number) == (
                issuer,
                sid.chosen["serial_number"].native,
            ):
                return certificate
        elif _key_identifier(certificate) == sid.chosen.native:
            return certificate
    raise InvalidSignatureError("the certificate of the signer is missing")


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except Exception:  # missing or malformed
        return None


def _algorithm(algorithm: Any, digest_name: str) -> tuple[hashes.HashAlgorithm, PSS | PKCS1v15 | None]:
    kind = algorithm.signature_algo
    if kind == "rsassa_pss":
        parameters = algorithm["parameters"]
        mask_hash = _HASHES[parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native]
        padding = PSS(MGF1(mask_hash), parameters["salt_length"].native)
        return _HASHES[parameters["hash_algorithm"]["algorithm"].native], padding
    if kind == "rsassa_pkcs1v15":
        # `rsaEncryption` does not name the hash.
        named = algorithm["algorithm"].native
        return _HASHES[digest_name if named == "rsassa_pkcs1v15" else algorithm.hash_algo], PKCS1v15()
    return _HASHES[algorithm.hash_algo], None


def _embedded(signed_data: Any) -> list[x509.Certificate]:
    found = []
    for each in signed_data["certificates"] or ():
        try:
            found.append(x509.load_der_x509_certificate(each.dump()))
        except ValueError:
            continue  # one that the signer does not need
    return found


def _signing_time(infos: list[Any]) -> float | None:
    try:
        for info in infos:
            for attribute in info["signed_attrs"] or ():
                if attribute["type"].native == "signing_time":
                    return unix_time(attribute["values"][0].native)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        return None
    return None
