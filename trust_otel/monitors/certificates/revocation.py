"""Issuers of certificates, and revocation by revocation lists (RFC 5280)."""

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
    """Whether the signature is valid; `False` for keys and algorithms that `cryptography` does not support."""
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
    """Whether the first certificate issued the second one, by name and signature."""
    # Not `verify_directly_issued_by`, which the instrumentation records as a validation of the service.
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
        # Invalid names, unknown keys and algorithms: `cryptography` validates them only on access.
        return False


class Issuers:
    """Finds the issuers of certificates. Verified signatures are cached while both certificates exist."""

    def __init__(self) -> None:
        self._verified: dict[_Pair, bool] = {}

    def of(self, certificates: Iterable[Certificate]) -> dict[bytes, list[Certificate]]:
        """The issuers of each certificate, by fingerprint; several if a CA certificate was reissued."""
        unique = {certificate.fingerprint: certificate for certificate in certificates}
        by_subject = _by_subject(unique.values())
        verified: dict[_Pair, bool] = {}
        found: dict[bytes, list[Certificate]] = {}
        for certificate in unique.values():
            candidates = by_subject.get(_name(certificate, "issuer"), [])
            for issuer in candidates:
                pair = (issuer.fingerprint, certificate.fingerprint)
                cached = self._verified.get(pair)
                verified[pair] = issued(issuer.x509, certificate.x509) if cached is None else cached
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
        crls: Mapping[str, RevocationList],
        certificates: Iterable[Certificate],
        issuers: Mapping[bytes, list[Certificate]],
    ) -> tuple[set[bytes], dict[str, str]]:
        """Fingerprints of the revoked certificates, and the problems of revocation lists by name.

        A list whose issuer is not monitored is ignored. If a list becomes invalid, the certificates that the last valid
        list of that name revoked stay revoked.

        Args:
            crls: Revocation lists by name.
            certificates: The certificates to check.
            issuers: The result of `Issuers.of`.
        """
        unique = {certificate.fingerprint: certificate for certificate in certificates}
        by_subject = _by_subject(unique.values())
        signed: dict[_Pair, bool] = {}
        listed: dict[_Pair, bool] = {}
        revoked_by: dict[str, set[bytes]] = {}
        problems: dict[str, str] = {}
        for name, crl in crls.items():
            authorities = by_subject.get(crl.issuer, [])
            keys = {authority.key for authority in authorities if self._signed_by(crl, authority, signed)}
            problem = _problem(crl, authorities, keys)
            if problem is not None:
                problems[name] = problem
                revoked_by[name] = self._revoked_by.get(name, set())
                continue
            revoked_by[name] = {
                certificate.fingerprint
                for certificate in unique.values()
                if keys & {issuer.key for issuer in issuers[certificate.fingerprint]}
                and self._lists(crl, certificate, listed)
            }
        self._signed, self._listed, self._revoked_by = signed, listed, revoked_by
        return set().union(*revoked_by.values()), problems

    def _signed_by(self, crl: RevocationList, authority: Certificate, signed: dict[_Pair, bool]) -> bool:
        pair = (crl.fingerprint, authority.fingerprint)
        cached = self._signed.get(pair)
        signed[pair] = _is_signed(crl.x509, authority.x509) if cached is None else cached
        return signed[pair]

    def _lists(self, crl: RevocationList, certificate: Certificate, listed: dict[_Pair, bool]) -> bool:
        pair = (crl.fingerprint, certificate.fingerprint)
        cached = self._listed.get(pair)
        listed[pair] = _is_listed(crl.x509, certificate.x509.serial_number) if cached is None else cached
        return listed[pair]


def _problem(crl: RevocationList, authorities: Iterable[Certificate], keys: Iterable[bytes]) -> str | None:
    if authorities and not keys:
        if not any(_has_supported_key(authority) for authority in authorities):
            return (
                "its signature cannot be verified, because the type or the curve of its issuer's key is not supported"
            )
        return "its signature is not valid for its issuer"
    if keys and _is_indirect(crl.x509):
        return "is an indirect revocation list, which is not supported"
    return None


def _has_supported_key(certificate: Certificate) -> bool:
    try:
        return bool(certificate.key)
    except Exception:
        return False


def _by_subject(certificates: Iterable[Certificate]) -> dict[bytes, list[Certificate]]:
    found: dict[bytes, list[Certificate]] = defaultdict(list)
    for certificate in certificates:
        found[_name(certificate, "subject")].append(certificate)
    return found


def _name(certificate: Certificate, which: str) -> bytes:
    try:
        return bytes(getattr(certificate, which))
    except ValueError:  # an invalid name matches no certificate
        return b""


def _is_signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # checks the key type itself
    except Exception:
        return False


def _is_indirect(crl: x509.CertificateRevocationList) -> bool:
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return False
    except Exception:
        # The extensions cannot be parsed.
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
    # In a delta CRL, this reason removes a hold.
    return reason is not x509.ReasonFlags.remove_from_crl
