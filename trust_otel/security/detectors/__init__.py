"""Detectors of suspicious activity: rules that turn authentication events and requests into security incidents."""

from trust_otel.security.detectors.detectors import Detectors

__all__ = ["Detectors"]
