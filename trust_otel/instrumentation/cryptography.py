"""Certificate operations of the package `cryptography`, without code.

Every entry point is a method of a public class and is wrapped there, once the service imports the class's module; so it
is measured wherever and whenever the service imported it, and a service without `cryptography` never loads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timezone
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from wrapt import register_post_import_hook

from trust_otel.instrumentation.certificate_types import certificate_type
from trust_otel.metrics import recorder_of
from trust_otel.metrics.certificate import CertificateOperation
from trust_otel.metrics.recorder import Recorder
from trust_otel.patches import Patches
from trust_otel.recording.fail_open import fail_open

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from cryptography.x509.verification import ClientVerifier, ServerVerifier

_logger = logging.getLogger(__name__)


class CryptographyInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures issuance, signing and validation, unless the service measures the operation itself.

    `instrument(metrics=...)` takes the `TrustServiceMetrics` to record with; the process's own by default.
    """

    _hooks: _Hooks

    def instrumentation_dependencies(self) -> Collection[str]:
        """What must be installed for this to work."""
        return ("cryptography >= 45",)

    def _instrument(self, **kwargs: Any) -> None:
        self._hooks = _Hooks(recorder_of(kwargs.get("metrics")))
        for module in _ENTRY_POINTS:
            register_post_import_hook(self._hooks.add, module)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._hooks.remove()


@dataclass(frozen=True)
class _EntryPoint:
    """A public method that does something with a certificate.

    Attributes:
        owner: Its class.
        method: Its name.
        operation: What it does.
        refusal: Why it says no, given the exception, its object and its arguments; `None` when it says no such thing.
        certificate_type: Kind of the certificate that it returns.
    """

    owner: str
    method: str
    operation: str
    refusal: Callable[..., str | None] = lambda *_, **__: None
    certificate_type: Callable[[Any], str | None] = lambda _: None


class _Hooks:
    """The methods that are wrapped, from the import of their modules on."""

    def __init__(self, recorder: Recorder) -> None:
        self._certificates = recorder.certificates
        self._dropped = recorder.instruments.dropped
        self._patches = Patches()

    def add(self, module: ModuleType) -> None:
        """Wrap the entry points of a module; what this version of it lacks is left out."""
        for entry in _ENTRY_POINTS[module.__name__] if self._patches.active else ():
            try:
                self._patches.replace(getattr(module, entry.owner), entry.method, partial(self._measured, entry))
            except Exception as error:
                _logger.debug(
                    "trust-otel: %s.%s.%s is not measured: %s", module.__name__, entry.owner, entry.method, error
                )

    def remove(self) -> None:
        """Leave every method as it was."""
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
                operation.certificate_type = self._examine(entry.certificate_type, result)
                return result

        return call

    @fail_open
    def _examine(self, function: Callable[..., str | None], /, *args: Any, **kwargs: Any) -> str | None:
        return function(*args, **kwargs)


# The arguments may be wrong, or missing, when the exception says so.


def _chain_refusal(
    error: Exception, verifier: ServerVerifier | ClientVerifier, /, leaf: Any = None, *_: object, **__: object
) -> str | None:
    """Why a chain was refused: what the dates of its first certificate prove, since the exception has only a text."""
    from cryptography.x509.verification import VerificationError

    if not isinstance(error, VerificationError):
        return None
    moment = verifier.policy.validation_time.replace(tzinfo=timezone.utc)
    if leaf.not_valid_after_utc < moment:
        return "expired"
    if leaf.not_valid_before_utc > moment:
        return "not_yet_valid"
    # Its public name; the class itself says that it lives in a private module.
    return "cryptography.x509.verification.VerificationError"


def _issuer_refusal(error: Exception, certificate: Certificate, /, issuer: Any = None, **__: object) -> str | None:
    """Why a certificate is not from an issuer."""
    from cryptography.exceptions import InvalidSignature

    if isinstance(error, InvalidSignature):
        return "cryptography.exceptions.InvalidSignature"
    # Of an algorithm that is not supported, `cryptography` says ValueError too.
    if isinstance(error, ValueError) and certificate.issuer != issuer.subject:
        return "issuer_mismatch"
    return None


_ENTRY_POINTS: Mapping[str, Collection[_EntryPoint]] = {
    "cryptography.x509": (
        _EntryPoint("CertificateBuilder", "sign", "issuance", certificate_type=certificate_type),
        _EntryPoint("CertificateSigningRequestBuilder", "sign", "signing"),
        # A list is signed anew on schedule, whether or not anything was revoked.
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
"""The entry points, by the module that makes them public."""
