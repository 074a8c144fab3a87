"""Polls all certificate sources and keeps the last valid content of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from trust_otel.monitors.certificates.content import Certificate, Item, RevocationList, Source, UnreadableError
from trust_otel.monitors.certificates.crl import CrlSource
from trust_otel.monitors.certificates.endpoints import EndpointSource
from trust_otel.monitors.certificates.files import FileSource, PasswordFile
from trust_otel.monitors.certificates.formats import Password
from trust_otel.monitors.certificates.kubernetes import SecretSource
from trust_otel.monitors.certificates.names import Names, numbered, shown_location
from trust_otel.monitors.certificates.ocsp import CertificateWithIssuer, OcspResult, Responder
from trust_otel.monitors.certificates.parallel import ParallelRunner
from trust_otel.monitors.certificates.report import SourceReport, summary
from trust_otel.monitors.certificates.revocation import Issuers, RevocationLists
from trust_otel.setting_lists import CertificateSource

_TIMEOUT: Final = 30.0
_TIMED_OUT: Final = f"could not be read within {_TIMEOUT:.0f} seconds"


@dataclass(frozen=True)
class CertificateState:
    """The state of a certificate as recorded in the metrics. Times are Unix times in seconds."""

    not_after: float
    not_before: float
    type: str | None
    kind: str | None
    position: str | None
    revoked: bool


@dataclass(frozen=True)
class CrlState:
    """The state of a revocation list as recorded in the metrics. Times are Unix times in seconds."""

    next_update: float | None
    this_update: float
    number: int | None
    size: int


@dataclass(frozen=True)
class Snapshot:
    """The result of polling all sources.

    Attributes:
        reports: One per source, in the order of the setting.
        certificates: The state of each certificate, by name.
        crls: The state of each revocation list, by name.
        ocsp_responses: Name of the responder and result of each response.
    """

    reports: Sequence[SourceReport]
    certificates: Mapping[str, CertificateState]
    crls: Mapping[str, CrlState]
    ocsp_responses: Sequence[tuple[str, OcspResult]]


@dataclass
class _PolledSource:
    """A source of certificates or revocation lists, with the last valid content of each item."""

    name: str
    location: str
    source: Source
    valid: dict[str, Item] = field(default_factory=dict)
    items: Sequence[Item] = ()
    ignored: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    def update(self, outcome: Sequence[Item] | UnreadableError) -> None:
        """Merge the result of a poll.

        Items that are no longer in the source are removed, as after a renewal under another name. Invalid items keep
        their last valid content, because they may be half written. An empty source keeps everything: it is usually a
        mistake, and must not resolve alerts.
        """
        if isinstance(outcome, UnreadableError):
            self.problems = [str(outcome)]
            return
        items = [self._last_valid(item) for item in outcome]
        self.ignored = tuple(
            f"{item.key}: {item.content.other}" for item in items if item.content.empty and item.content.problem is None
        )
        self.problems = [self._problem(item) for item in items if item.content.problem]
        if all(item.content.empty for item in items):
            self.problems = self.problems or ["contains no certificate"]
            return
        self.items = items
        keys = {item.key for item in items}
        self.valid = {key: item for key, item in self.valid.items() if key in keys}

    def _last_valid(self, item: Item) -> Item:
        if item.content.problem is None and not item.content.empty:
            self.valid[item.key] = item
        elif item.key in self.valid:
            problem = item.content.problem or "no longer contains a certificate"
            return replace(item, content=replace(self.valid[item.key].content, problem=problem))
        return item

    def _problem(self, item: Item) -> str:
        prefix = "" if item.key in ("", self.location) else f"{item.key}: "
        return f"{prefix}{item.content.problem}"

    def report(self) -> SourceReport:
        ends = [certificate.not_after for item in self.items for certificate in item.content.certificates]
        return SourceReport(self.name, summary(self.problems) or None, len(ends), min(ends, default=None), self.ignored)


@dataclass
class _PolledResponder:
    """An OCSP responder, with the problems of the last poll."""

    name: str
    label: str
    responder: Responder
    problems: list[str] = field(default_factory=list)

    def update(self, results: Sequence[OcspResult] | None, certificates: Sequence[CertificateWithIssuer]) -> None:
        if not certificates:
            self.problems = ["there are no certificates to check: add certificates together with that of their issuer"]
        elif results is None:
            self.problems = [_TIMED_OUT]
        else:
            self.problems = sorted({result.problem for result in results if result.problem})

    def report(self) -> SourceReport:
        return SourceReport(self.name, summary(self.problems) or None)


class CertificateWatcher:
    """Monitors the sources of a setting.

    Args:
        sources: Value of TRUST_OTEL_CERTIFICATES.
        password_file: Value of TRUST_OTEL_CERTIFICATE_PASSWORD_FILE.
        name_length: Maximum number of characters of a name.
    """

    def __init__(self, sources: Iterable[CertificateSource], password_file: str | None, name_length: int) -> None:
        self._name_length = name_length
        self._sources: list[_PolledSource] = []
        self._responders: list[_PolledResponder] = []
        self._runner = ParallelRunner()
        self._issuers = Issuers()
        self._revocation_lists = RevocationLists()
        self._revoked_by_ocsp: set[bytes] = set()
        self._order: list[_PolledSource | _PolledResponder] = []
        password, names, labels = PasswordFile(password_file), Names(name_length), Names(name_length)
        for source in dict.fromkeys(sources):
            name = names.unique(source.name or shown_location(source.location))
            if (source.scheme or "").startswith("ocsp+"):
                url = source.location.partition("+")[2]
                label = labels.unique(source.name or urlsplit(url).netloc.rpartition("@")[2])
                self._responders.append(_PolledResponder(name, label, Responder(url)))
                self._order.append(self._responders[-1])
            else:
                self._sources.append(_PolledSource(name, source.location, _create_source(source, password)))
                self._order.append(self._sources[-1])

    @property
    def responders(self) -> list[str]:
        """The names of the OCSP responders in `Snapshot.ocsp_responses`."""
        return [responder.label for responder in self._responders]

    def poll(self) -> Snapshot:
        """Read every source once. A source that hangs delays the result by at most 30 seconds."""
        outcomes = self._runner.run({source.name: partial(_read, source.source) for source in self._sources}, _TIMEOUT)
        for source in self._sources:
            source.update(outcomes.get(source.name, UnreadableError(_TIMED_OUT)))
        certificates, crls = self._named()
        issuers = self._issuers.of(certificates.values()) if crls or self._responders else {}
        revoked = self._revoked_by_crl(certificates, crls, issuers)
        responses = self._check_ocsp(certificates, issuers)
        revoked |= self._revoked_by_ocsp
        return Snapshot(
            [source.report() for source in self._order],
            {name: _state(certificate, revoked) for name, certificate in certificates.items()},
            {name: CrlState(crl.next_update, crl.this_update, crl.number, crl.size) for name, (_, crl) in crls.items()},
            responses,
        )

    def _named(self) -> tuple[dict[str, Certificate], dict[str, tuple[_PolledSource, RevocationList]]]:
        certificates: dict[str, Certificate] = {}
        crls: dict[str, tuple[_PolledSource, RevocationList]] = {}
        names, crl_names = Names(self._name_length), Names(self._name_length)
        for source in self._sources:
            for item in source.items:
                for position, certificate in enumerate(item.content.certificates):
                    certificates[names.unique(numbered(item.name, position))] = certificate
                for position, crl in enumerate(item.content.crls):
                    crls[crl_names.unique(numbered(item.name, position))] = (source, crl)
        return certificates, crls

    def _revoked_by_crl(
        self,
        certificates: Mapping[str, Certificate],
        crls: Mapping[str, tuple[_PolledSource, RevocationList]],
        issuers: Mapping[bytes, list[Certificate]],
    ) -> set[bytes]:
        revoked, problems = self._revocation_lists.revoked(
            {name: crl for name, (_, crl) in crls.items()}, certificates.values(), issuers
        )
        for name, problem in problems.items():
            crls[name][0].problems.append(f"the revocation list {name}: {problem}")
        return revoked

    def _check_ocsp(
        self, certificates: Mapping[str, Certificate], issuers: Mapping[bytes, list[Certificate]]
    ) -> list[tuple[str, OcspResult]]:
        if not self._responders:
            return []
        unique = {certificate.fingerprint: certificate for certificate in certificates.values()}
        pairs = [
            (certificate, issuers[fingerprint][0])
            for fingerprint, certificate in unique.items()
            # A self-signed certificate cannot be revoked by its issuer.
            if issuers[fingerprint] and certificate.subject != certificate.issuer
        ]
        tasks = {polled.name: partial(polled.responder.check, pairs) for polled in self._responders}
        outcomes = self._runner.run(tasks, _TIMEOUT)
        self._revoked_by_ocsp &= set(unique)
        responses: list[tuple[str, OcspResult]] = []
        for polled in self._responders:
            results = outcomes.get(polled.name)
            polled.update(results, pairs)
            for result in results or ():
                self._apply(result)
                responses.append((polled.label, result))
        return responses

    def _apply(self, result: OcspResult) -> None:
        # Other statuses change nothing: a revoked certificate stays revoked.
        if result.status == "revoked":
            self._revoked_by_ocsp.add(result.fingerprint)
        elif result.status == "good":
            self._revoked_by_ocsp.discard(result.fingerprint)


def _create_source(source: CertificateSource, password: Password) -> Source:
    scheme, rest = source.scheme, source.location.partition("://")[2]
    if scheme is None:
        return FileSource(source.location, source.name, password)
    if scheme == "kubernetes":
        return SecretSource(rest.strip("/"), source.name)
    if scheme.startswith("crl+"):
        return CrlSource(source.location.partition("+")[2], source.name)
    return EndpointSource(source.location, scheme, source.name)


def _read(source: Source) -> Sequence[Item] | UnreadableError:
    try:
        return source.read()
    except UnreadableError as error:
        return error
    except Exception as error:
        # Only the type: the message may contain a secret.
        return UnreadableError(f"could not be read ({type(error).__name__})")


def _state(certificate: Certificate, revoked: set[bytes]) -> CertificateState:
    return CertificateState(
        certificate.not_after,
        certificate.not_before,
        certificate.type,
        certificate.classification.kind,
        certificate.classification.position,
        certificate.fingerprint in revoked,
    )
