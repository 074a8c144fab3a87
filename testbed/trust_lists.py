"""Writes lists of trust anchors: trusted lists (ETSI TS 119 612), master lists (ICAO Doc 9303-12) and VICALs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import cbor2
from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import SignatureConstructionMethod, SignatureMethod
from signxml.xades import XAdESSigner

MASTER_LIST_SIGNER: Final = x509.ObjectIdentifier("2.23.136.1.1.3")

_TSL: Final = "http://uri.etsi.org/02231/v2#"
_MASTER_LIST: Final = "2.23.136.1.1.2"


@dataclass(frozen=True)
class Signer:
    """One who signs lists, with a key on P-256."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate, as TRUST_OTEL_TRUST_LIST_SIGNERS reads it."""
        return self.certificate.public_bytes(Encoding.PEM)


def new_signer(name: str = "Scheme operator", *, days: float = 365) -> Signer:
    """A signer with a self-signed certificate; it is expired if `days` is negative."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(timezone.utc) + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=730))
        .not_valid_after(end)
        .sign(key, SHA256())
    )
    return Signer(certificate, key)


def trusted_list(
    signer: Signer | None,
    anchors: Sequence[x509.Certificate],
    *,
    issued: datetime,
    next_update: datetime | None,
    sequence_number: int = 1,
) -> bytes:
    """A trusted list with one trust service for each certificate; without a signer, it is not signed."""
    root: Any = etree.Element(f"{{{_TSL}}}TrustServiceStatusList", nsmap={None: _TSL})
    scheme = _add(root, "SchemeInformation")
    _add(scheme, "TSLVersionIdentifier", "5")
    _add(scheme, "TSLSequenceNumber", str(sequence_number))
    _add(scheme, "ListIssueDateTime", _zulu(issued))
    update = _add(scheme, "NextUpdate")
    if next_update is not None:
        _add(update, "dateTime", _zulu(next_update))
    services = _add(_add(_add(root, "TrustServiceProviderList"), "TrustServiceProvider"), "TSPServices")
    for anchor in anchors:
        information = _add(_add(services, "TSPService"), "ServiceInformation")
        identity = _add(_add(information, "ServiceDigitalIdentity"), "DigitalId")
        _add(identity, "X509Certificate", _base64(anchor))
    if signer is not None:
        method = SignatureConstructionMethod.enveloped
        xades = XAdESSigner(method=method, signature_algorithm=SignatureMethod.ECDSA_SHA256)
        root = xades.sign(root, key=signer.key, cert=[signer.certificate])
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def master_list(signer: Signer, anchors: Sequence[x509.Certificate], *, issued: datetime) -> bytes:
    """A master list in CMS SignedData."""
    content = csca_certificates(anchors)
    attributes = cms.CMSAttributes(
        [
            {"type": "content_type", "values": [_MASTER_LIST]},
            {"type": "signing_time", "values": [cms.Time({"utc_time": issued})]},
            {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
        ]
    )
    signer_certificate = _asn1(signer.certificate)
    info = {
        "version": "v1",
        "sid": {
            "issuer_and_serial_number": {
                "issuer": signer_certificate.issuer,
                "serial_number": signer_certificate.serial_number,
            }
        },
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": signer.key.sign(attributes.dump(), ec.ECDSA(SHA256())),
    }
    signed_data = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": {"content_type": _MASTER_LIST, "content": content},
        "certificates": [signer_certificate],
        "signer_infos": [info],
    }
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed_data)}).dump())


def csca_certificates(anchors: Sequence[x509.Certificate]) -> bytes:
    """The content of a master list (CscaMasterList)."""
    return bytes(_MasterList({"version": 0, "cert_list": [_asn1(anchor) for anchor in anchors]}).dump())


def vical(
    signer: Signer,
    anchors: Sequence[x509.Certificate],
    *,
    issued: datetime,
    next_update: datetime | None,
    issue_id: int | None = 1,
) -> bytes:
    """A VICAL in COSE_Sign1."""
    content: dict[str, Any] = {
        "version": "1.0",
        "vicalProvider": "Example",
        "date": issued,
        "certificateInfos": [
            {"certificate": anchor.public_bytes(Encoding.DER), "docType": ["org.iso.18013.5.1.mDL"]}
            for anchor in anchors
        ],
    }
    if next_update is not None:
        content["nextUpdate"] = next_update
    if issue_id is not None:
        content["vicalIssueID"] = issue_id
    protected, payload = cbor2.dumps({1: -7}), cbor2.dumps(content)
    signed = signer.key.sign(cbor2.dumps(["Signature1", protected, b"", payload]), ec.ECDSA(SHA256()))
    signature = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signed))
    chain = {33: signer.certificate.public_bytes(Encoding.DER)}
    return cbor2.dumps(cbor2.CBORTag(18, [protected, chain, payload, signature]))


class _Certificates(core.SetOf):  # type: ignore[misc]  # the library is untyped
    _child_spec = asn1_x509.Certificate


class _MasterList(core.Sequence):  # type: ignore[misc]
    _fields = [("version", core.Integer), ("cert_list", _Certificates)]  # noqa: RUF012


def _asn1(certificate: x509.Certificate) -> Any:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _add(parent: Any, name: str, text: str | None = None) -> Any:
    element = etree.SubElement(parent, f"{{{_TSL}}}{name}")
    element.text = text
    return element


def _base64(certificate: x509.Certificate) -> str:
    lines = certificate.public_bytes(Encoding.PEM).decode().split()
    return "".join(line for line in lines[2:-2])


def _zulu(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
