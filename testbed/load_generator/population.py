"""The users of the service. They are fixed, so that runs differ only in their operations."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

# Clients of the service, to be listed in TRUST_OTEL_CLIENT_NAMES.
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
# The register of this country does not respond.
UNRESPONSIVE_COUNTRY = "IS"

DOCUMENT_TYPES = ("passport", "id_card", "residence_permit", "diploma")
CERTIFICATE_TYPES = ("DSC", "tls_server", "tls_client", "document_signer")
# Certificate profiles of the service, to be listed in TRUST_OTEL_CERTIFICATE_PROFILES.
CERTIFICATE_PROFILES = (
    *("root-ca", "issuing-ca", "ocsp-responder", "tsa"),
    *("icao-dsc", "tls-ov", "tls-client", "qcp-l"),
)
REVOCATION_REASONS = ("keyCompromise", "superseded", "cessationOfOperation", "unspecified")

# Reserved for documentation and benchmarks (RFC 5737, RFC 2544).
NETWORKS = {
    "192.0.2.0/26": "DE",
    "192.0.2.64/26": "FR",
    "192.0.2.128/26": "NL",
    "192.0.2.192/26": "EE",
    "198.51.100.0/26": "PL",
    "198.51.100.64/26": "CH",
    "198.51.100.128/25": "US",
    "203.0.113.0/25": "SE",
    "203.0.113.128/25": "BR",
    "198.18.0.0/16": "JP",
    "198.19.0.0/16": "IN",
}
_NETWORKS = {ip_network(network): country for network, country in NETWORKS.items()}
_HOMES = {country: tuple(map(str, network.hosts())) for network, country in _NETWORKS.items() if country in CURRENCIES}

ADDRESSES = tuple(address for addresses in _HOMES.values() for address in addresses)
ADMINISTRATOR = ADDRESSES[-1]
RATE_LIMITED_ADDRESS = "203.0.113.7"
BLOCKED_ADDRESS = "203.0.113.66"
# Listed in the example's reputation feed.
LISTED_ADDRESS = "203.0.113.200"
REPUTATION_FEED = "scanners"


def country_of(address: str) -> str:
    """The country that the example's database gives for an address."""
    parsed = ip_address(address)
    return next(country for network, country in _NETWORKS.items() if parsed in network)


# Failed logins of one account from many more addresses would look like a distributed attack.
_ADDRESSES_EACH = 4


@dataclass(frozen=True)
class Person:
    name: str
    role: str
    country: str
    client: str
    totp: bool

    def address(self, pick: int) -> str:
        """One of the person's addresses, all in one country, so that no login looks like impossible travel."""
        homes = _HOMES[self.country]
        first = sum(self.name.encode())
        return homes[(first + pick % _ADDRESSES_EACH) % len(homes)]


@dataclass(frozen=True)
class Machine:
    name: str
    role: str
    country: str


def people() -> list[Person]:
    """An operator and a clerk for each country, one of them with TOTP, and two auditors."""
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
