"""Detectors of suspicious activity: small rules over what clients do, which say when it is an incident."""

from trust_otel.security.detectors.detectors import Detectors

__all__ = ["Detectors"]
