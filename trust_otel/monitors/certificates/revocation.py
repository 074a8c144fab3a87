"""Which certificate issued which, and which of them a revocation list names (RFC 5280)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from trust_otel.monitors.certificates.content import Certificate, RevocationList

_Pair = tuple[bytes, bytes]


def signature_is_valid(
    key: object,
    signature: bytes,
    data: bytes,
    hash_algorithm: HashAlgorithm | None,
    rsa_padding: padding.PKCS1v15 | padding.PSS | None = None,
) -> bool:
    """Whether a key signed the data; `False` also for keys and algorithms that `cryptography` does not support."""
    try:
        if isinstance(key, rsa.RSAPublicKey) and hash_algorithm:
            key.verify(signature, data, rsa_padding or padding.PKCS1v15(), hash_algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and hash_algorithm:
            key.verify(signature, data, ec.ECDSA(hash_algorithm))
        elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, data)
        else:
            return False
    except (InvalidSignature, ValueError, TypeError, NotImplementedError):
        return False
    return True


def issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether one certificate bears the name and the signature of the other."""
    # Not `verify_directly_issued_by`, which counts as a validation of the service where that is measured.
    try:
        parameters = certificate.signature_algorithm_parameters
        rsa_padding = parameters if isinstance(parameters, (padding.PKCS1v15, padding.PSS)) else None
        return certificate.issuer == issuer.subject and signature_is_valid(
            issuer.public_key(),
            certificate.signature,
            certificate.tbs_certificate_bytes,
            certificate.signature_hash_algorithm,
            rsa_padding,
        )
    except Exception:
        # Broken names, unknown keys and algorithms: `cryptography` looks at them only now.
        return False


class Issuers:
    """Finds the issuers of certificates; what was verified once is remembered as long as both are there."""

    def __init__(self) -> None:
        self._verified: dict[_Pair, bool] = {}

    def of(self, certificates: Iterable[Certificate]) -> dict[bytes, list[Certificate]]:
        """The issuers of each certificate by its fingerprint; several when an authority was certified anew."""
        unique = {certificate.fingerprint: certificate for certificate in certificates}
        by_subject = _by_subject(unique.values())
        verified: dict[_Pair, bool] = {}
        found: dict[bytes, list[Certificate]] = {}
        for certificate in unique.values():
            candidates = by_subject.get(_name(certificate, "issuer"), [])
            for issuer in candidates:
                pair = (issuer.fingerprint, certificate.fingerprint)
                known = self._verified.get(pair)
                verified[pair] = issued(issuer.x509, certificate.x509) if known is None else known
            found[certificate.fingerprint] = [
                issuer for issuer in candidates if verified[issuer.fingerprint, certificate.fingerprint]
            ]
        self._verified = verified
        return found


class RevocationLists:
    """Applies revocation lists to certificates."""

    def __init__(self) -> None:
        self._signed: dict[_Pair, bool] = {}
        self._listed: dict[_Pair, bool] = {}
        self._revoked_by: dict[str, set[bytes]] = {}

    def revoked(
        self,
        lists: Mapping[str, RevocationList],
        certificates: Iterable[Certificate],
        issuers: Mapping[bytes, list[Certificate]],
    ) -> tuple[set[bytes], dict[str, str]]:
        """Fingerprints of the certificates that are revoked, and the problems of lists by the lists' names.

        A list whose issuer is not watched is no problem, and revokes nothing. What a list revoked stays revoked while a
        list of that name cannot be believed.

        Args:
            lists: Revocation lists by name.
            certificates: What they are applied to.
            issuers: What `Issuers.of` found.
        """
        unique = {certificate.fingerprint: certificate for certificate in certificates}
        by_subject = _by_subject(unique.values())
        signed: dict[_Pair, bool] = {}
        listed: dict[_Pair, bool] = {}
        revoked_by: dict[str, set[bytes]] = {}
        problems: dict[str, str] = {}
        for name, one in lists.items():
            authorities = by_subject.get(one.issuer, [])
            keys = {authority.key for authority in authorities if self._signed_by(one, authority, signed)}
            problem = _problem(one, authorities, keys)
            if problem is not None:
                problems[name] = problem
                revoked_by[name] = self._revoked_by.get(name, set())
                continue
            theirs = [held for held in unique.values() if keys & {issuer.key for issuer in issuers[held.fingerprint]}]
            revoked_by[name] = {held.fingerprint for held in theirs if self._lists(one, held, listed)}
        self._signed, self._listed, self._revoked_by = signed, listed, revoked_by
        return set().union(*revoked_by.values()), problems

    def _signed_by(self, one: RevocationList, authority: Certificate, signed: dict[_Pair, bool]) -> bool:
        pair = (one.fingerprint, authority.fingerprint)
        known = self._signed.get(pair)
        signed[pair] = _is_signed(one.x509, authority.x509) if known is None else known
        return signed[pair]

    def _lists(self, one: RevocationList, certificate: Certificate, listed: dict[_Pair, bool]) -> bool:
        pair = (one.fingerprint, certificate.fingerprint)
        known = self._listed.get(pair)
        listed[pair] = _is_listed(one.x509, certificate.x509.serial_number) if known is None else known
        return listed[pair]


def _problem(one: RevocationList, authorities: Iterable[Certificate], keys: Iterable[bytes]) -> str | None:
    if authorities and not keys:
        return "its signature is not that of its issuer"
    if keys and _is_indirect(one.x509):
        return "is an indirect revocation list, which is not supported"
    return None


def _by_subject(certificates: Iterable[Certificate]) -> dict[bytes, list[Certificate]]:
    found: dict[bytes, list[Certificate]] = defaultdict(list)
    for certificate in certificates:
        found[_name(certificate, "subject")].append(certificate)
    return found


def _name(certificate: Certificate, which: str) -> bytes:
    try:
        return bytes(getattr(certificate, which))
    except ValueError:  # a name that cannot be read is nobody's
        return b""


def _is_signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # of any kind; it checks
    except Exception:
        return False


def _is_indirect(crl: x509.CertificateRevocationList) -> bool:
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return False
    except Exception:
        # Extensions that cannot be read may say anything.
        return True
    return point.indirect_crl


def _is_listed(crl: x509.CertificateRevocationList, serial_number: int) -> bool:
    entry = crl.get_revoked_certificate_by_serial_number(serial_number)
    if entry is None:
        return False
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except Exception:
        return True
    # In a delta list it takes a certificate off hold.
    return reason is not x509.ReasonFlags.remove_from_crl
