"""The recorder: everything that a trust service can record, by family. For instrumentations and monitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trust_otel.metrics.acme import AcmeMetrics
from trust_otel.metrics.business import BusinessMetrics
from trust_otel.metrics.certificate import CertificateMetrics
from trust_otel.metrics.certificate_transparency import CertificateTransparencyMetrics
from trust_otel.metrics.client import ClientMetrics
from trust_otel.metrics.clock import ClockMetrics
from trust_otel.metrics.database import DatabaseMetrics
from trust_otel.metrics.dependency import DependencyMetrics
from trust_otel.metrics.executor import ExecutorMetrics
from trust_otel.metrics.family import Family
from trust_otel.metrics.http import HttpMetrics
from trust_otel.metrics.key import KeyMetrics
from trust_otel.metrics.pkcs11 import Pkcs11Metrics
from trust_otel.metrics.revocation import RevocationMetrics
from trust_otel.metrics.rpc import RpcMetrics
from trust_otel.metrics.security import SecurityMetrics
from trust_otel.metrics.session import SessionMetrics
from trust_otel.metrics.source import SourceMetrics
from trust_otel.metrics.timestamp import TimestampMetrics
from trust_otel.metrics.trust_list import TrustListMetrics
from trust_otel.metrics.validation import ValidationMetrics
from trust_otel.recording.instruments import Instruments


class Recorder:
    """One object per family of metrics. No method raises because of what it is given.

    Internal: a service calls `TrustServiceMetrics`, which offers the part of this that a service needs.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.instruments = instruments
        self.security = SecurityMetrics(instruments)
        self.clients = ClientMetrics(instruments)
        self.http = HttpMetrics(instruments, self.security, self.clients)
        self.certificates = CertificateMetrics(instruments)
        self.revocations = RevocationMetrics(instruments)
        self.validations = ValidationMetrics(instruments)
        self.timestamps = TimestampMetrics(instruments)
        self.clock = ClockMetrics(instruments)
        self.keys = KeyMetrics(instruments)
        self.pkcs11 = Pkcs11Metrics(instruments)
        self.certificate_transparency = CertificateTransparencyMetrics(instruments)
        self.acme = AcmeMetrics(instruments)
        self.trust_lists = TrustListMetrics(instruments)
        self.sessions = SessionMetrics(instruments)
        self.business = BusinessMetrics(instruments)
        self.rpc = RpcMetrics(instruments)
        self.database = DatabaseMetrics(instruments)
        self.dependencies = DependencyMetrics(instruments)
        self.executors = ExecutorMetrics(instruments)
        self.sources = SourceMetrics(instruments)

    def families(self) -> tuple[Family, ...]:
        """Every family."""
        return tuple(part for part in vars(self).values() if isinstance(part, Family))

    def family_with(self, method: Callable[..., Any]) -> Family:
        """The family that a function is a method of."""
        (family,) = (each for each in self.families() if getattr(type(each), method.__name__, None) is method)
        return family
