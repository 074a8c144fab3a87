"""Certificate transparency (RFC 6962): SCTs in issued certificates, and certificates that the service did not issue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

from trust_otel.log_safe import error_location
from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.semconv.metrics import TRUST_CT_SCTS, TRUST_CT_UNKNOWN_CERTIFICATES

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SCT_LIST: Final = "1.3.6.1.4.1.11129.2.4.2"
_METHOD: Final = "observe_ct_feed"
_NO_FUNCTION: Final = f"the certificates cannot be compared: call {_METHOD}"


class CertificateTransparencyMetrics(Family):
    """What logs of certificate transparency contain of the service's certificates."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._scts = PositionalLabels(
            instruments.histogram(TRUST_CT_SCTS), "trust.certificate.type", "trust.certificate.profile"
        )
        self._unknown = instruments.counter(TRUST_CT_UNKNOWN_CERTIFICATES)
        self._is_issued: Callable[[Mapping[str, Any]], bool] | None = None
        self._checked: set[bytes] = set()

    @fail_open
    def record_certificate_issued(
        self, certificate: Certificate, *, certificate_type: str | None = None, profile: str | None = None
    ) -> None:
        """Record the number of SCTs in a certificate, once it is issued.

        Args:
            certificate: The certificate, as `cryptography` reads it.
            certificate_type: Kind of certificate, as in `certificate_operation`.
            profile: Certificate profile, in the same way.
        """
        try:
            lists = [each.value for each in certificate.extensions if each.oid.dotted_string == _SCT_LIST]
            number = sum(len(list(each)) for each in lists)
        except Exception:  # not a certificate, or one whose extensions are malformed
            self._dropped.report(
                "invalid_value",
                "record_certificate_issued",
                lambda: "record_certificate_issued takes an x509.Certificate of cryptography with valid extensions",
            )
            return
        self._scts(number, certificate_type, profile)

    @fail_open
    def observe_ct_feed(self, is_issued: Callable[[Mapping[str, Any]], bool]) -> None:
        """Count the certificates in TRUST_OTEL_CT_FEED that the service did not issue.

        Args:
            is_issued: Returns whether the service issued the certificate that a line of the feed describes. It is
                called once for each line, in a background thread; after an exception it is called again. Another call
                of `observe_ct_feed` replaces it.
        """
        if not callable(is_issued) or iscoroutinefunction(is_issued):
            self._dropped.report(
                "invalid_value", _METHOD, lambda: f"{_METHOD} takes a function that returns True or False"
            )
            return
        self._is_issued = is_issued

    @fail_open
    def check_feed(self, entries: Mapping[bytes, Mapping[str, Any]]) -> str | None:
        """Count the entries that the service did not issue, each once. Returns what prevents that, and a fix.

        Args:
            entries: Every entry of the feed, by a key that identifies it.
        """
        is_issued = self._is_issued
        if is_issued is None:
            return _NO_FUNCTION
        # From the start, so that an alert sees the first one.
        self._unknown(0)
        self._checked &= entries.keys()
        for key in entries.keys() - self._checked:
            try:
                issued = is_issued(entries[key])
            except Exception as error:
                return f"the function given to {_METHOD} failed: {error_location(error)}"
            # Anything else may be true by mistake, such as a coroutine.
            if not isinstance(issued, bool):
                return f"the function given to {_METHOD} returned {type(issued).__name__}, not True or False"
            self._checked.add(key)
            if not issued:
                self._unknown(1)
        return None
