"""Signatures, timestamps and certificates of `cryptography`: what they take, and what trust-otel adds to them.

What is added is a few µs to an operation whose time varies by more, so both are measured within the same call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache, wraps
from itertools import repeat
from statistics import median
from time import perf_counter_ns
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from benchmarks.workloads import Round
from trust_otel import get_metrics
from trust_otel.instrumentation.cryptography import CryptographyInstrumentor

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CALLS = 25
_DATA = bytes(256)
_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmarks")])
_BEGIN = datetime(2026, 1, 1)


def prepare(_variant: str, case: str) -> Round:
    """A round of `OPERATION ALGORITHM`: what is added to it, or with `alone` behind it what the operation takes."""
    name, algorithm, *alone = case.split()
    operation = {"signature": _signature, "timestamp": _timestamp}.get(name, _issuance)(_key(algorithm))
    measured = operation if name == "instrumentation" else _within(name, operation)
    clocks: list[float] = []

    def run() -> float:
        if alone:
            return median(spent for spent, _ in _times(operation)) / 1000
        # Reading the clock takes time too, of which other load makes more in some rounds.
        _instrumentor.uninstrument()
        clocks.append(median(rest for _, rest in _times(operation)))
        _instrumentor.instrument()
        return (median(rest for _, rest in _times(measured)) - min(clocks)) / 1000

    return run


def _times(operation: Callable[[], object]) -> Iterator[tuple[int, int]]:
    """Nanoseconds in the library, and all others, of each call."""
    for _ in repeat(None, _CALLS):
        _library.spent = 0
        started = perf_counter_ns()
        operation()
        total = perf_counter_ns() - started
        yield _library.spent, total - _library.spent


class _Stopwatch:
    """Adds up the time in functions."""

    spent = 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            started = perf_counter_ns()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent += perf_counter_ns() - started

        return call


_library = _Stopwatch()

# Below the instrumentation.
_instrumentor = CryptographyInstrumentor()
_instrumentor.uninstrument()
for _owner in (x509.CertificateBuilder, PKCS7SignatureBuilder):
    setattr(_owner, "sign", _library.timed(_owner.sign))  # noqa: B010 - not a method to mypy
_instrumentor.instrument()


@cache
def _key(algorithm: str) -> _Key:
    if algorithm == "P-256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(algorithm.removeprefix("RSA-")))


def _within(name: str, operation: Callable[[], object]) -> Callable[[], object]:
    metrics = get_metrics()
    kind = {"signature": "signing"}.get(name, name)

    def call() -> None:
        with metrics.certificate_operation(kind, certificate_type="document_signing"):
            operation()

    return call


def _signature(key: _Key) -> Callable[[], object]:
    sign = _library.timed(key.sign)
    if isinstance(key, rsa.RSAPrivateKey):
        pkcs1, algorithm = padding.PKCS1v15(), SHA256()
        return lambda: sign(_DATA, pkcs1, algorithm)
    ecdsa = ec.ECDSA(SHA256())
    return lambda: sign(_DATA, ecdsa)


def _timestamp(key: _Key) -> Callable[[], object]:
    """The signature of a timestamp token: CMS over the data, with signed attributes."""
    certificate = _builder(key).sign(key, SHA256())

    @_library.timed
    def build() -> PKCS7SignatureBuilder:
        return PKCS7SignatureBuilder().set_data(_DATA).add_signer(certificate, key, SHA256())

    return lambda: build().sign(Encoding.DER, [PKCS7Options.Binary])


def _issuance(key: _Key) -> Callable[[], object]:
    build, algorithm = _library.timed(_builder), SHA256()
    return lambda: build(key).sign(key, algorithm)


def _builder(key: _Key) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_BEGIN + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(*(True, True), *[False] * 7), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
