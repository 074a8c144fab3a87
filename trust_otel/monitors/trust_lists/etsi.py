"""Trusted lists (ETSI TS 119 612) with a XAdES signature."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from lxml import etree
from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier

from trust_otel.metrics.moments import unix_time
from trust_otel.monitors.certificates.content import UnreadableError
from trust_otel.monitors.trust_lists.content import InvalidSignatureError, ListContent
from trust_otel.monitors.trust_lists.signers import Signers

_TSL: Final = "{http://uri.etsi.org/02231/v2#}"
_ROOT: Final = f"{_TSL}TrustServiceStatusList"
_SCHEME: Final = f"{_TSL}SchemeInformation"
_SEQUENCE_NUMBER: Final = f"{_SCHEME}/{_TSL}TSLSequenceNumber"
_ISSUE_DATE: Final = f"{_SCHEME}/{_TSL}ListIssueDateTime"
_NEXT_UPDATE: Final = f"{_SCHEME}/{_TSL}NextUpdate/{_TSL}dateTime"
_PROVIDERS: Final = f"{_TSL}TrustServiceProviderList"
_POINTERS: Final = f"{_SCHEME}/{_TSL}PointersToOtherTSL"
_CERTIFICATE: Final = f"{_TSL}X509Certificate"

_DATE_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,15}", re.ASCII)


def read(data: bytes, signers: Signers | None) -> ListContent:
    """Read a trusted list.

    Args:
        data: The file.
        signers: Those who may sign it; `None` to read it without verification.

    Raises:
        UnreadableError: It is not a trusted list.
        InvalidSignatureError: None of the signers signed it.
    """
    return _content(_parsed(data) if signers is None else _signed(data, signers))


def _parsed(data: bytes) -> Any:
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise UnreadableError("is not valid XML") from error
    # As the verification: a list needs no DTD.
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableError("contains a DTD, which is not allowed")
    return root


def _signed(data: bytes, signers: Signers) -> Any:
    """The element that one of the signers signed, read from what was signed."""
    _parsed(data)
    reason = ""
    for certificate in signers.certificates:
        try:
            results = XAdESVerifier().verify(
                data,
                x509_cert=certificate,
                # Not a number: any number of references.
                expect_config=XAdESSignatureConfiguration(location="./", expect_references=True),
            )
        # Malformed signatures raise errors of several libraries.
        except Exception as error:
            reason = _reason(error)
            continue
        for result in results:
            if result.signed_xml is not None and result.signed_xml.tag == _ROOT:
                return result.signed_xml
        reason = "the signature does not cover the list"
    raise InvalidSignatureError(reason)


def _reason(error: Exception) -> str:
    # Without the message, which may contain data from the list.
    kind = type(error).__name__
    return f"none of the signers in TRUST_OTEL_TRUST_LIST_SIGNERS signed it as it is ({kind})"


def _content(root: Any) -> ListContent:
    if root.tag != _ROOT:
        raise UnreadableError("is not a trusted list (TrustServiceStatusList)")
    sequence_number = (root.findtext(_SEQUENCE_NUMBER) or "").strip()
    issue_date = _moment(root.findtext(_ISSUE_DATE))
    if issue_date is None or not _NUMBER.fullmatch(sequence_number):
        raise UnreadableError("has no valid list issue date or sequence number")
    part = root.find(_PROVIDERS)
    if part is None:
        part = root.find(_POINTERS)
    certificates = set() if part is None else {"".join((each.text or "").split()) for each in part.iter(_CERTIFICATE)}
    return ListContent(issue_date, _moment(root.findtext(_NEXT_UPDATE)), int(sequence_number), len(certificates))


def _moment(text: str | None) -> float | None:
    match = _DATE_TIME.fullmatch((text or "").strip())
    if match is None:
        return None
    zone = (match[2] or "").replace("Z", "+00:00")
    try:
        return unix_time(datetime.fromisoformat(match[1] + zone))
    except (ValueError, OverflowError):
        return None
