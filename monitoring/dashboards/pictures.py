"""The pictures of the dashboards in docs/pictures, with the question of a reader and the answer that they show."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

from monitoring.dashboards.template import BUSINESS, MONITORING, OPERATIONAL, PKI, SECURITY

THEMES: Final = ("dark", "light")
DEVICES: Final = ("desktop", "phone")


@dataclass(frozen=True)
class Question:
    """What a reader wants to know, and the answer that the picture shows."""

    reader: str
    text: str
    answer: str


@dataclass(frozen=True)
class Picture:
    """A dashboard in one situation.

    Attributes:
        name: Start of the names of the files.
        uid: The dashboard.
        situation: What was going on.
        questions: Of the readers of the dashboard.
    """

    name: str
    uid: str
    situation: str
    questions: tuple[Question, ...]

    def file(self, theme: str, device: str) -> str:
        """Name of the file with the theme and device."""
        return f"{self.name}-{theme}-{device}.png"

    @property
    def files(self) -> list[str]:
        """Names of all files."""
        return [self.file(theme, device) for theme, device in product(THEMES, DEVICES)]


_FLEET: Final = "Three services with 50 instances each: one instance is bad, and one was killed five minutes ago"

FLEET: Final = (
    Picture(
        "fleet-operational",
        OPERATIONAL,
        _FLEET,
        (
            Question(
                "SRE on call",
                "Which instance is the cause, and is the rest of the fleet healthy?",
                "The bad instance is document-service-7d9c8b6f5-v96lt: in Worst instances it alone has red cells (40 % "
                "errors, a full connection pool, 30 requests waiting), and it is far above the median in Error rate. "
                "The killed instance, validation-service-7d9c8b6f5-qxbgs, leads Instances: last seen.",
            ),
        ),
    ),
    Picture(
        "fleet-security",
        SECURITY,
        _FLEET,
        (
            Question(
                "SOC analyst",
                "What happens now, and which address is it?",
                "Suspicious activity and attack patterns has credential stuffing in red. In Failed authentication by "
                "IP address, only 203.0.113.17 is red.",
            ),
            Question(
                "Compliance officer",
                "Are all audit records there, and is every control checked?",
                "Missing audit records is 0 and no control went unchecked for a day. The control signature_policy was "
                "violated in the last 15 minutes. What is measured shows that these zeros are measured, not missing.",
            ),
        ),
    ),
    Picture(
        "fleet-business",
        BUSINESS,
        _FLEET,
        (
            Question(
                "Product owner",
                "What do we earn, and does the bad instance break a promise to customers?",
                "Revenue is shown by currency, country and client, next to its forecast. The SLA document_processing "
                "is violated: 96.2 % instead of 99 %, because one instance fails 40 % of its documents.",
            ),
        ),
    ),
    Picture(
        "fleet-pki",
        PKI,
        _FLEET,
        (
            Question(
                "CA operator",
                "What must I do next?",
                "Publish the revocation list csca of signing-service: it is out of date. In CA rollover, "
                "issuing-ca-2019 is due; in Certificates by time to expiry, documents-api is expiring.",
            ),
            Question(
                "Auditor",
                "Are revocations decided and published in time, and are timestamps accurate?",
                "Not all: Revocation deadlines counts 8 late publications in the CRL. The clock of the "
                "bad instance of document-service is off; those of signing-service, which issues the timestamps, are "
                "right. What a service does not measure says so in PKI status.",
            ),
        ),
    ),
    Picture(
        "fleet-monitoring",
        MONITORING,
        _FLEET,
        (
            Question(
                "SRE on call",
                "Can I trust the other dashboards?",
                "Yes: all targets are up, TrustWatchdog fires, and the Collector delivers what it accepts. Age of "
                "newest sample is red only for the killed instance of validation-service.",
            ),
        ),
    ),
)

OUTAGES: Final = (
    Picture(
        "outage-database-down",
        OPERATIONAL,
        "The database of a service is stopped",
        (
            Question(
                "SRE on call",
                "What is broken?",
                "Service health overview is red for trust-service, with a dependency down and the share of requests "
                "that fail. Alert status overview lists the alerts, the most severe first.",
            ),
        ),
    ),
    Picture(
        "outage-attack",
        SECURITY,
        "Attackers try stolen passwords, scan paths and flood the login",
        (
            Question(
                "SOC analyst",
                "What kind of attack is it, and does it go on?",
                "Suspicious activity and attack patterns names five patterns, credential stuffing in red. It goes on: "
                "more than 100 logins failed in the last minute, and 203.0.113.20 leads Failed authentication by IP "
                "address.",
            ),
        ),
    ),
    Picture(
        "outage-revenue-drop",
        BUSINESS,
        "Customers submit far fewer documents",
        (
            Question(
                "Product owner",
                "Do we lose revenue, and since when?",
                "Yes: Documents vs. expected is near 0 %, and the lines of documents and revenue drop below the dashed "
                "expected range at the end of the graphs.",
            ),
        ),
    ),
    Picture(
        "outage-collector-cannot-deliver",
        MONITORING,
        "The Collector cannot reach Prometheus",
        (
            Question(
                "SRE on call",
                "Why do the other dashboards show nothing new?",
                "The Collector accepts data points and delivers none, and Age of newest sample is red for all "
                "services. All targets are up, so the connection from the Collector to Prometheus is broken.",
            ),
            Question(
                "Compliance officer",
                "Is data lost?",
                "No: none is refused or dropped, and less than 1 % of the Collector's queue is used.",
            ),
        ),
    ),
)

PICTURES: Final = (*FLEET, *OUTAGES)
