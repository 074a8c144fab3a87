"""Measures the certificate operations of the package `cryptography`.

Every entry point is a method of a public class, and is patched when the service imports the module of the class. It
does not matter where or when the service imported the class, and a service without `cryptography` never loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timezone
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from wrapt import register_post_import_hook

from trust_otel.instrumentation.certificate_types import issued_certificate_type
from trust_otel.metrics import recorder_of
from trust_otel.metrics.certificate import CertificateOperation
from trust_otel.metrics.recorder import Recorder
from trust_otel.patches import Patches
from trust_otel.recording.fail_open import fail_open, report_failure

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from cryptography.x509.verification import ClientVerifier, ServerVerifier


class CryptographyInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures issuance, signing and validation, except within `certificate_operation` of the service.

    `instrument(metrics=...)` takes the `TrustServiceMetrics` to record with; by default that of `get_metrics()`.
    """

    _entry_points: _CryptographyPatches

    def instrumentation_dependencies(self) -> Collection[str]:
        """Supported versions of the library."""
        return ("cryptography >= 45",)

    def _instrument(self, **kwargs: Any) -> None:
        self._entry_points = _CryptographyPatches(recorder_of(kwargs.get("metrics")))
        for module in _ENTRY_POINTS:
            register_post_import_hook(self._entry_points.add, module)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._entry_points.remove()


@dataclass(frozen=True)
class _EntryPoint:
    """A public method that performs a certificate operation.

    Attributes:
        owner: Name of the class.
        method: Name of the method.
        operation: Value of `trust.certificate.operation`.
        refusal: Returns the reason of a failure from the exception, the object and the arguments; `None` for an error.
        certificate_type: Returns the value of `trust.certificate.type` from the result, the object and the arguments.
    """

    owner: str
    method: str
    operation: str
    refusal: Callable[..., str | None] = lambda *_, **__: None
    certificate_type: Callable[..., str | None] | None = None


class _CryptographyPatches:
    """Patches the entry points when their modules are imported."""

    def __init__(self, recorder: Recorder) -> None:
        self._certificates = recorder.certificates
        self._dropped = recorder.instruments.dropped
        self._patches = Patches()

    def add(self, module: ModuleType) -> None:
        """Patch the entry points of a module, except those that this version of the library does not have."""
        for entry in _ENTRY_POINTS[module.__name__]:
            self._patches.replace_in(module, entry.owner, entry.method, partial(self._measured, entry))

    def remove(self) -> None:
        """Restore every method."""
        self._patches.restore()

    def _measured(self, entry: _EntryPoint, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._patches.active or CertificateOperation.any_running():
                return original(*args, **kwargs)
            with self._certificates.certificate_operation(entry.operation) as operation:
                try:
                    result = original(*args, **kwargs)
                except Exception as error:
                    reason = self._examine(entry.refusal, error, *args, **kwargs)
                    if reason is not None:
                        operation.fail(reason)
                    raise
                if entry.certificate_type is not None:
                    try:
                        operation.certificate_type = entry.certificate_type(result, *args, **kwargs)
                    except Exception as error:
                        report_failure(self._dropped, entry.certificate_type, error, (result, *args), kwargs)
                return result

        return call

    @fail_open
    def _examine(self, function: Callable[..., str | None], /, *args: Any, **kwargs: Any) -> str | None:
        return function(*args, **kwargs)


# The arguments may be wrong or missing, as when the exception is a TypeError.


def _chain_refusal(
    error: Exception, verifier: ServerVerifier | ClientVerifier, /, leaf: Any = None, *_: object, **__: object
) -> str | None:
    """Reason why a chain was refused, from the dates of its leaf certificate: the exception has only a text."""
    from cryptography.x509.verification import VerificationError

    if not isinstance(error, VerificationError):
        return None
    validated_at = verifier.policy.validation_time.replace(tzinfo=timezone.utc)
    with suppress(ValueError):  # dates that Python does not have, such as the year 0
        if leaf.not_valid_after_utc < validated_at:
            return "expired"
        if leaf.not_valid_before_utc > validated_at:
            return "not_yet_valid"
    # The public name; the `__module__` of the class is private.
    return "cryptography.x509.verification.VerificationError"


def _issuer_refusal(error: Exception, certificate: Certificate, /, issuer: Any = None, **__: object) -> str | None:
    """Reason why a certificate was not issued by the given issuer."""
    from cryptography.exceptions import InvalidSignature

    if isinstance(error, InvalidSignature):
        return "cryptography.exceptions.InvalidSignature"
    # `cryptography` also raises ValueError for an unsupported algorithm, and here for an invalid name.
    with suppress(ValueError):
        if isinstance(error, ValueError) and certificate.issuer != issuer.subject:
            return "issuer_mismatch"
    return None


_ENTRY_POINTS: Mapping[str, Collection[_EntryPoint]] = {
    "cryptography.x509": (
        _EntryPoint("CertificateBuilder", "sign", "issuance", certificate_type=issued_certificate_type),
        _EntryPoint("CertificateSigningRequestBuilder", "sign", "signing"),
        # Not "revocation": a CRL is signed on schedule, whether or not anything was revoked.
        _EntryPoint("CertificateRevocationListBuilder", "sign", "signing"),
        _EntryPoint("Certificate", "verify_directly_issued_by", "validation", refusal=_issuer_refusal),
    ),
    "cryptography.x509.ocsp": (_EntryPoint("OCSPResponseBuilder", "sign", "signing"),),
    "cryptography.x509.verification": (
        _EntryPoint("ServerVerifier", "verify", "validation", refusal=_chain_refusal),
        _EntryPoint("ClientVerifier", "verify", "validation", refusal=_chain_refusal),
    ),
    "cryptography.hazmat.primitives.serialization.pkcs7": (_EntryPoint("PKCS7SignatureBuilder", "sign", "signing"),),
}
"""The entry points, by public module."""
