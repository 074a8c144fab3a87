"""Panel ids, alert thresholds and texts of the PKI dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitoring.alerts import threshold
from monitoring.dashboards.panels import ValueTexts

# The ids from 30 are those of keys and HSM (30), trust anchors (40), and tenants (60).
STATUS, CERTIFICATES = range(1, 3)

BY_SERVICE: Final = ("service_name",)
SERVICE_KEY: Final[Mapping[str, str]] = {"service_name": "Service"}
SERVICE_WIDTH: Final[Mapping[str, int]] = {"Service": 150}

EXPIRY_LIMIT: Final = threshold("TrustCertificateExpiring", "critical")

UNKNOWN: Final = "unknown"
KINDS: Final[ValueTexts] = {
    "root": ("root", "text"),
    "issuing_ca": ("issuing CA", "text"),
    "csca": ("CSCA", "text"),
    "signer": ("signer", "text"),
    "tls": ("TLS", "text"),
    "ocsp_responder": ("OCSP responder", "text"),
    "tsa": ("TSA", "text"),
    UNKNOWN: ("unknown", "text"),
}
POSITIONS: Final[ValueTexts] = {
    "root": ("root", "text"),
    "intermediate": ("intermediate", "text"),
    "end_entity": ("end entity", "text"),
    UNKNOWN: ("unknown", "text"),
}
