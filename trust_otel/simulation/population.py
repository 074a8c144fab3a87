"""Who uses the service: fixed, so that two simulations differ only in what is done."""

from __future__ import annotations

from dataclasses import dataclass

# Clients of the service; those that TRUST_OTEL_CLIENT_NAMES should list.
CLIENT_NAMES = ("acme", "globex", "initech", "umbrella")

CURRENCIES = {
    "DE": "EUR",
    "FR": "EUR",
    "NL": "EUR",
    "EE": "EUR",
    "PL": "EUR",
    "CH": "CHF",
    "US": "USD",
}
COUNTRIES = tuple(CURRENCIES)
# Its register does not answer.
SILENT_COUNTRY = "IS"

DOCUMENT_TYPES = ("passport", "id_card", "residence_permit", "diploma")
CERTIFICATE_TYPES = ("DSC", "tls_server", "tls_client", "document_signer")

# Reserved for documentation (RFC 5737): nobody has these addresses.
ADDRESSES = tuple(f"{network}.{host}" for network in ("192.0.2", "198.51.100") for host in range(1, 255))
IMPATIENT_ADDRESS = "203.0.113.7"
BLOCKED_ADDRESS = "203.0.113.66"


@dataclass(frozen=True)
class Person:
    name: str
    role: str
    country: str
    client: str
    totp: bool


@dataclass(frozen=True)
class Machine:
    name: str
    role: str
    country: str


def people() -> list[Person]:
    """For every country an operator and a clerk, of whom one has a second factor; and two auditors."""
    persons = []
    for number, country in enumerate(COUNTRIES):
        client = CLIENT_NAMES[number % len(CLIENT_NAMES)]
        for offset, role in enumerate(("operator", "clerk")):
            name = f"sim-{role}-{country.lower()}"
            totp = (number + offset) % 2 == 0
            persons.append(Person(name, role, country, client, totp))
    auditors = (("DE", False), ("US", True))
    return persons + [
        Person(f"sim-auditor-{country.lower()}", "auditor", country, CLIENT_NAMES[0], totp)
        for country, totp in auditors
    ]


def machines() -> list[Machine]:
    return [Machine("sim-signer", "signer", "DE"), Machine("sim-verifier", "verifier", "FR")]
