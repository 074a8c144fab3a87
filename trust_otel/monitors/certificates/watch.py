"""Looks at all sources again and again, and keeps what was last read well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from trust_otel.monitors.certificates.content import Certificate, Item, RevocationList, Source, UnreadableError
from trust_otel.monitors.certificates.downloads import DownloadedList
from trust_otel.monitors.certificates.endpoints import EndpointSource
from trust_otel.monitors.certificates.files import FileSource, PasswordFile
from trust_otel.monitors.certificates.formats import Password
from trust_otel.monitors.certificates.kubernetes import SecretSource
from trust_otel.monitors.certificates.names import Names, numbered, printable, shown_location
from trust_otel.monitors.certificates.ocsp import Answer, Question, Responder
from trust_otel.monitors.certificates.parallel import SideBySide
from trust_otel.monitors.certificates.report import SourceReport
from trust_otel.monitors.certificates.revocation import Issuers, RevocationLists
from trust_otel.setting_lists import CertificateSource

_PATIENCE: Final = 30.0
_SLOW: Final = f"could not be read within {_PATIENCE:.0f} seconds"
_SHOWN_PROBLEMS: Final = 3


@dataclass(frozen=True)
class Watched:
    """What the metrics say of a certificate."""

    not_after: float
    not_before: float
    type: str | None
    revoked: bool


@dataclass(frozen=True)
class Look:
    """What a look at all sources found.

    Attributes:
        reports: One for each source, in the order of the setting.
        certificates: Every certificate by its name.
        next_updates: When each revocation list is to be followed by the next, as Unix time in seconds, by its name.
        answers: Pairs of an OCSP responder and what it said.
    """

    reports: Sequence[SourceReport]
    certificates: Mapping[str, Watched]
    next_updates: Mapping[str, float]
    answers: Sequence[tuple[str, str]]


@dataclass
class _Entry:
    """A source of certificates or lists, and each of its items as it was last read well."""

    name: str
    location: str
    source: Source
    good: dict[str, Item] = field(default_factory=dict)
    shown: Sequence[Item] = ()
    problems: list[str] = field(default_factory=list)

    def take(self, outcome: Sequence[Item] | UnreadableError) -> None:
        """Merge a reading into what is known.

        What has vanished from the source is forgotten, as after a renewal under another name. What is broken stays as
        it was, since it may just be written. A source that gives nothing at all keeps everything: it is far more often
        a mistake than a wish that nothing is watched any more, and no alert may fall silent by it.
        """
        if isinstance(outcome, UnreadableError):
            self.problems = [str(outcome)]
            return
        shown = [self._shown(item) for item in outcome]
        self.problems = [self._problem(item) for item in shown if item.content.problem]
        if all(item.content.empty for item in shown):
            self.problems = self.problems or ["there is no certificate in it"]
            return
        self.shown = shown
        listed = {item.key for item in shown}
        self.good = {key: item for key, item in self.good.items() if key in listed}

    def _shown(self, item: Item) -> Item:
        if item.content.problem is None and not item.content.empty:
            self.good[item.key] = item
        elif item.key in self.good:
            problem = item.content.problem or "holds no certificate any more"
            return replace(item, content=replace(self.good[item.key].content, problem=problem))
        return item

    def _problem(self, item: Item) -> str:
        which = "" if item.key in ("", self.location) else f"{item.key}: "
        return f"{which}{item.content.problem}"

    def report(self) -> SourceReport:
        ends = [certificate.not_after for item in self.shown for certificate in item.content.certificates]
        return SourceReport(self.name, _summary(self.problems), len(ends), min(ends, default=None))


@dataclass
class _Asked:
    """An OCSP responder, and what it said when it was last asked."""

    name: str
    label: str
    responder: Responder
    problems: list[str] = field(default_factory=list)

    def take(self, answers: Sequence[Answer] | None, questions: Sequence[Question]) -> None:
        if not questions:
            self.problems = ["there is nothing to ask: name certificates together with that of their issuer"]
        elif answers is None:
            self.problems = [_SLOW]
        else:
            self.problems = sorted({answer.problem for answer in answers if answer.problem})

    def report(self) -> SourceReport:
        return SourceReport(self.name, _summary(self.problems))


class Watch:
    """The sources of a setting.

    Args:
        sources: What TRUST_OTEL_CERTIFICATES says.
        password_file: What TRUST_OTEL_CERTIFICATE_PASSWORD_FILE says.
        name_length: Most characters of a name.
    """

    def __init__(self, sources: Iterable[CertificateSource], password_file: str | None, name_length: int) -> None:
        self._name_length = name_length
        self._entries: list[_Entry] = []
        self._asked: list[_Asked] = []
        self._side_by_side = SideBySide()
        self._issuers = Issuers()
        self._lists = RevocationLists()
        self._revoked_by_ocsp: set[bytes] = set()
        self._order: list[_Entry | _Asked] = []
        password, names, labels = PasswordFile(password_file), Names(name_length), Names(name_length)
        for source in dict.fromkeys(sources):
            name = names.unique(source.name or shown_location(source.location))
            if (source.scheme or "").startswith("ocsp+"):
                url = source.location.partition("+")[2]
                label = labels.unique(source.name or urlsplit(url).netloc.rpartition("@")[2])
                self._asked.append(_Asked(name, label, Responder(url)))
                self._order.append(self._asked[-1])
            else:
                self._entries.append(_Entry(name, source.location, _made(source, password)))
                self._order.append(self._entries[-1])

    @property
    def responders(self) -> list[str]:
        """Every OCSP responder, by the name that its answers have."""
        return [asked.label for asked in self._asked]

    def look(self) -> Look:
        """Read every source once; one that hangs delays the others by no more than half a minute."""
        outcomes = self._side_by_side.run(
            {entry.name: partial(_read, entry.source) for entry in self._entries}, _PATIENCE
        )
        for entry in self._entries:
            entry.take(outcomes.get(entry.name, UnreadableError(_SLOW)))
        certificates, lists = self._named()
        issuers = self._issuers.of(certificates.values()) if lists or self._asked else {}
        revoked = self._listed(certificates, lists, issuers)
        answers = self._answers(certificates, issuers)
        revoked |= self._revoked_by_ocsp
        return Look(
            [source.report() for source in self._order],
            {name: _watched(certificate, revoked) for name, certificate in certificates.items()},
            {name: one.next_update for name, (_, one) in lists.items() if one.next_update is not None},
            answers,
        )

    def _named(self) -> tuple[dict[str, Certificate], dict[str, tuple[_Entry, RevocationList]]]:
        certificates: dict[str, Certificate] = {}
        lists: dict[str, tuple[_Entry, RevocationList]] = {}
        names, list_names = Names(self._name_length), Names(self._name_length)
        for entry in self._entries:
            for item in entry.shown:
                for position, certificate in enumerate(item.content.certificates):
                    certificates[names.unique(numbered(item.name, position))] = certificate
                for position, one in enumerate(item.content.lists):
                    lists[list_names.unique(numbered(item.name, position))] = (entry, one)
        return certificates, lists

    def _listed(
        self,
        certificates: Mapping[str, Certificate],
        lists: Mapping[str, tuple[_Entry, RevocationList]],
        issuers: Mapping[bytes, list[Certificate]],
    ) -> set[bytes]:
        revoked, problems = self._lists.revoked(
            {name: one for name, (_, one) in lists.items()}, certificates.values(), issuers
        )
        for name, problem in problems.items():
            lists[name][0].problems.append(f"the revocation list {name}: {problem}")
        return revoked

    def _answers(
        self, certificates: Mapping[str, Certificate], issuers: Mapping[bytes, list[Certificate]]
    ) -> list[tuple[str, str]]:
        if not self._asked:
            return []
        unique = {certificate.fingerprint: certificate for certificate in certificates.values()}
        questions = [
            (certificate, issuers[fingerprint][0])
            for fingerprint, certificate in unique.items()
            # Whoever issued itself cannot be revoked by itself.
            if issuers[fingerprint] and certificate.subject != certificate.issuer
        ]
        tasks = {asked.name: partial(asked.responder.ask, questions) for asked in self._asked}
        results = self._side_by_side.run(tasks, _PATIENCE)
        self._revoked_by_ocsp &= set(unique)
        said: list[tuple[str, str]] = []
        for asked in self._asked:
            answers = results.get(asked.name)
            asked.take(answers, questions)
            for answer in answers or ():
                self._believe(answer)
                said.append((asked.label, answer.status))
        return said

    def _believe(self, answer: Answer) -> None:
        # Whoever cannot tell says nothing: what was revoked stays so.
        if answer.status == "revoked":
            self._revoked_by_ocsp.add(answer.fingerprint)
        elif answer.status == "good":
            self._revoked_by_ocsp.discard(answer.fingerprint)


def _made(source: CertificateSource, password: Password) -> Source:
    scheme, rest = source.scheme, source.location.partition("://")[2]
    if scheme is None:
        return FileSource(source.location, source.name, password)
    if scheme == "kubernetes":
        return SecretSource(rest.strip("/"), source.name)
    if scheme.startswith("crl+"):
        return DownloadedList(source.location.partition("+")[2], source.name)
    return EndpointSource(source.location, scheme, source.name)


def _read(source: Source) -> Sequence[Item] | UnreadableError:
    try:
        return source.read()
    except UnreadableError as error:
        return error
    except Exception as error:
        # Its text may hold anything, also a secret.
        return UnreadableError(f"could not be read ({type(error).__name__})")


def _watched(certificate: Certificate, revoked: set[bytes]) -> Watched:
    is_revoked = certificate.fingerprint in revoked
    return Watched(certificate.not_after, certificate.not_before, certificate.type, is_revoked)


def _summary(problems: Sequence[str]) -> str | None:
    if not problems:
        return None
    more = len(problems) - _SHOWN_PROBLEMS
    return printable("; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else ""))
