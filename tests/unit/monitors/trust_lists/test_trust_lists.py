"""Lists of trust anchors: content, signature, and what the monitor exports of them."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from testbed.trust_lists import MASTER_LIST_SIGNER, Signer, master_list, new_signer, trusted_list, vical
from tests.unit.monitors.certificates.authority import Authority
from tests.unit.monitors.waiting import eventually
from trust_otel.monitors.certificates.content import UnreadableError
from trust_otel.monitors.trust_lists import TrustListInstrumentor, check_lists, etsi, icao
from trust_otel.monitors.trust_lists import vical as vicals
from trust_otel.monitors.trust_lists.content import InvalidSignatureError, ListContent
from trust_otel.monitors.trust_lists.signers import Signers, read_signers
from trust_otel.settings import Settings

ISSUED = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
NEXT = ISSUED + timedelta(days=180)
SIGNER = new_signer()
OTHER = new_signer("Another operator")
ANCHORS = [SIGNER.certificate, OTHER.certificate, OTHER.certificate]
PINNED = Signers([SIGNER.certificate])

SIGNATURE = "trust.trust_list.signature"
UP = "trust.otel.source.up"
VALUES = ("issue_date", "next_update", "sequence_number", "anchors")

etsi_list = partial(trusted_list, issued=ISSUED, next_update=NEXT, sequence_number=7)
icao_list = partial(master_list, issued=ISSUED)
vical_list = partial(vical, issued=ISSUED, next_update=NEXT, issue_id=7)

KINDS = pytest.mark.parametrize(
    ("read", "make"),
    [(etsi.read, etsi_list), (icao.read, icao_list), (vicals.read, vical_list)],
    ids=["etsi", "icao", "vical"],
)
Read = Callable[[bytes, Signers | None], ListContent]
Make = Callable[..., bytes]


def status(recording: Any, name: str) -> str:
    """The status of the signature of a list; exactly one is 1."""
    values = {
        labels["trust.trust_list.signature.status"]: point.value
        for labels, point in recording.series(SIGNATURE)
        if labels["trust.trust_list.name"] == name
    }
    assert set(values) == {"valid", "invalid", "not_verified"}
    (found,) = (each for each, value in values.items() if value == 1)
    assert sum(values.values()) == 1
    return str(found)


def exported(recording: Any, name: str) -> dict[str, float]:
    return {
        value: point.value
        for value in VALUES
        for labels, point in recording.series(f"trust.trust_list.{value}")
        if labels["trust.trust_list.name"] == name
    }


class TestContent:
    def test_trusted_list(self) -> None:
        content = etsi.read(etsi_list(SIGNER, ANCHORS), PINNED)
        assert content == ListContent(ISSUED.timestamp(), NEXT.timestamp(), 7, 2)

    def test_master_list_has_neither_a_next_update_nor_a_number(self) -> None:
        assert icao.read(icao_list(SIGNER, ANCHORS), PINNED) == ListContent(ISSUED.timestamp(), None, None, 2)

    def test_vical(self) -> None:
        content = vicals.read(vical_list(SIGNER, ANCHORS), PINNED)
        assert content == ListContent(ISSUED.timestamp(), NEXT.timestamp(), 7, 2)

    def test_optional_parts(self) -> None:
        closed = trusted_list(SIGNER, [], issued=ISSUED, next_update=None)
        assert etsi.read(closed, PINNED) == ListContent(ISSUED.timestamp(), None, 1, 0)
        short = vical(SIGNER, [], issued=ISSUED, next_update=None, issue_id=None)
        assert vicals.read(short, PINNED) == ListContent(ISSUED.timestamp(), None, None, 0)

    def test_list_of_the_lists_counts_the_certificates_of_the_lists_it_points_to(self) -> None:
        whole = etsi_list(None, ANCHORS).decode()
        start, end = whole.index("<TrustServiceProviderList>"), whole.index("</TrustServiceStatusList>")
        pointers = f"<PointersToOtherTSL>{whole[start:end]}</PointersToOtherTSL>".replace("ProviderList", "Other")
        data = (whole[:start] + whole[end:]).replace("</SchemeInformation>", pointers + "</SchemeInformation>")
        assert etsi.read(data.encode(), None).anchors == 2

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-11-01T12:00:00Z", ISSUED.timestamp()),
            (" 2026-11-01T12:00:00.5Z\n", ISSUED.timestamp()),
            ("2026-11-01T14:00:00+02:00", ISSUED.timestamp()),
            ("2026-11-01T12:00:00", ISSUED.timestamp()),
        ],
    )
    def test_forms_of_a_time(self, text: str, moment: float) -> None:
        data = etsi_list(None, []).replace(b"2026-11-01T12:00:00Z", text.encode())
        assert etsi.read(data, None).issue_date == moment

    @KINDS
    @pytest.mark.parametrize("data", [b"", b"\0", b"<a/>", b"0\x80", b"\x80" * 100_000, b"\x81" * 100_000, b"\xd8"])
    def test_anything_else_is_unreadable(self, read: Read, make: Make, data: bytes) -> None:
        for signers in (None, PINNED):
            with pytest.raises((UnreadableError, InvalidSignatureError)):
                read(data, signers)

    @KINDS
    def test_truncated_list_is_unreadable(self, read: Read, make: Make) -> None:
        data = make(SIGNER, ANCHORS)
        for length in range(0, len(data), 97):
            with pytest.raises((UnreadableError, InvalidSignatureError)):
                read(data[:length], PINNED)

    @pytest.mark.parametrize("signers", [None, PINNED], ids=["not verified", "verified"])
    def test_entities_are_refused(self, signers: Signers | None, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("12")
        dtd = f'<!DOCTYPE TrustServiceStatusList [<!ENTITY a SYSTEM "{secret.as_uri()}">]><TrustServiceStatusList'
        data = etsi_list(SIGNER, ANCHORS).replace(b"<TrustServiceStatusList", dtd.encode(), 1)
        with pytest.raises(UnreadableError, match="DTD"):
            etsi.read(data.replace(b"<TSLSequenceNumber>7", b"<TSLSequenceNumber>&a;"), signers)

    @pytest.mark.parametrize(
        "payload",
        [
            {"date": "2026-11-01T12:00:00Z", "certificateInfos": []},
            {"date": ISSUED},
            {"date": ISSUED, "certificateInfos": {}},
            [],
        ],
    )
    def test_payload_that_is_no_vical(self, payload: Any) -> None:
        with pytest.raises(UnreadableError, match="not a VICAL"):
            vicals.read(cbor2.dumps([b"", {}, cbor2.dumps(payload), b""]), None)

    def test_message_that_is_no_master_list(self) -> None:
        data = icao_list(SIGNER, ANCHORS).replace(
            bytes.fromhex("06066781080101 02"), bytes.fromhex("06066781080101 01")
        )
        with pytest.raises(UnreadableError, match="id-icao-cscaMasterList"):
            icao.read(data, None)


class TestSignature:
    @KINDS
    def test_signer_that_is_not_named(self, read: Read, make: Make) -> None:
        with pytest.raises(InvalidSignatureError, match="TRUST_OTEL_TRUST_LIST_SIGNERS"):
            read(make(SIGNER, ANCHORS), Signers([OTHER.certificate]))

    @KINDS
    def test_one_of_several_signers(self, read: Read, make: Make) -> None:
        assert read(make(SIGNER, ANCHORS), Signers([OTHER.certificate, SIGNER.certificate])).anchors == 2

    @KINDS
    def test_expired_signer(self, read: Read, make: Make) -> None:
        expired = new_signer(days=-1)
        with pytest.raises(InvalidSignatureError):
            read(make(expired, ANCHORS), Signers([expired.certificate]))
        assert read(make(expired, ANCHORS), None).anchors == 2

    @KINDS
    def test_certificate_of_the_signer_with_the_key_of_another(self, read: Read, make: Make) -> None:
        with pytest.raises(InvalidSignatureError):
            read(make(Signer(SIGNER.certificate, OTHER.key), ANCHORS), PINNED)

    @pytest.mark.parametrize(
        ("read", "make", "before", "after"),
        [
            (etsi.read, etsi_list, b"2027-04-30", b"2029-04-30"),
            (vicals.read, vical_list, b"2027-04-30", b"2029-04-30"),
            (icao.read, icao_list, b"Another operator", b"Another_operator"),
        ],
        ids=["etsi", "vical", "icao"],
    )
    def test_list_that_was_changed(self, read: Read, make: Make, before: bytes, after: bytes) -> None:
        data = make(SIGNER, [OTHER.certificate])
        assert before in data
        with pytest.raises(InvalidSignatureError):
            read(data.replace(before, after), PINNED)

    def test_trusted_list_without_signature(self) -> None:
        with pytest.raises(InvalidSignatureError):
            etsi.read(etsi_list(None, ANCHORS), PINNED)

    def test_values_are_read_from_what_was_signed(self) -> None:
        """A signed list within another one, which is not signed (signature wrapping)."""
        signed = etsi_list(SIGNER, ANCHORS).partition(b"?>")[2].strip()
        later = trusted_list(None, [], issued=ISSUED, next_update=NEXT + timedelta(days=999))
        wrapped = later.replace(b"</TrustServiceStatusList>", signed + b"</TrustServiceStatusList>")
        with pytest.raises(InvalidSignatureError):
            etsi.read(wrapped, PINNED)

    @pytest.mark.parametrize(("purposes", "accepted"), [((MASTER_LIST_SIGNER,), True), ((), False)])
    def test_csca_may_be_named_instead_of_the_signer_of_a_master_list(
        self, purposes: tuple[Any, ...], accepted: bool
    ) -> None:
        """But its document signers must not sign master lists."""
        csca = Authority("CSCA")
        data = icao_list(Signer(*csca.issue(purposes=purposes)), ANCHORS)
        if accepted:
            assert icao.read(data, Signers([csca.certificate])).anchors == 2
        else:
            with pytest.raises(InvalidSignatureError, match="not for signing"):
                icao.read(data, Signers([csca.certificate]))

    @KINDS
    def test_certificate_that_the_signer_issued_itself(self, read: Read, make: Make) -> None:
        """A certificate that is no CA vouches for no other."""
        leaf, key = Authority("CSCA").issue(purposes=(MASTER_LIST_SIGNER,))
        forger = Authority(key=key)
        forger.name = leaf.subject
        with pytest.raises(InvalidSignatureError):
            read(make(Signer(*forger.issue(purposes=(MASTER_LIST_SIGNER,))), ANCHORS), Signers([leaf]))

    @pytest.mark.parametrize(
        "change",
        [
            lambda message: [cbor2.dumps({1: -37}), *message[1:]],
            lambda message: [cbor2.dumps({1: -35}), *message[1:]],
            lambda message: [cbor2.dumps({1: -8}), *message[1:]],
            lambda message: [cbor2.dumps([]), *message[1:]],
            lambda message: [message[0], {}, *message[2:]],
            lambda message: [message[0], {33: b"x"}, *message[2:]],
            lambda message: [message[0], {33: []}, *message[2:]],
            lambda message: [*message[:3], b"x"],
            lambda message: [*message[:3], None],
            lambda message: [*message[:3], bytes(64)],
        ],
    )
    def test_malformed_signature_of_a_vical(self, change: Callable[[list[Any]], list[Any]]) -> None:
        message = list(cbor2.loads(vical_list(SIGNER, ANCHORS)).value)
        with pytest.raises(InvalidSignatureError):
            vicals.read(cbor2.dumps(change(message)), PINNED)

    def test_chain_and_no_tag_in_a_vical(self) -> None:
        protected, unprotected, payload, signature = cbor2.loads(vical_list(SIGNER, ANCHORS)).value
        chain = {33: [unprotected[33], OTHER.certificate.public_bytes(Encoding.DER)]}
        assert vicals.read(cbor2.dumps([protected, chain, payload, signature]), PINNED).anchors == 2

    def test_signers_in_der(self, tmp_path: Path) -> None:
        file = tmp_path / "signer.der"
        file.write_bytes(SIGNER.certificate.public_bytes(Encoding.DER))
        assert read_signers(str(file)).certificates == [SIGNER.certificate]


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = b""
        self.code = 200
        self.statuses: list[int] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        etag = f'"{hash(self.server.body)}"'
        code = 304 if self.headers["If-None-Match"] == etag else self.server.code
        self.server.statuses.append(code)
        self.send_response(code)
        self.send_header("ETag", etag)
        body = self.server.body if code == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "signers.pem").write_bytes(SIGNER.pem)
    return tmp_path


@pytest.fixture
def start(recording: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TrustListInstrumentor]]:
    instrumentor = TrustListInstrumentor()

    def make(lists: str, signers: str = "") -> TrustListInstrumentor:
        monkeypatch.setenv("TRUST_OTEL_TRUST_LISTS", lists)
        monkeypatch.setenv("TRUST_OTEL_TRUST_LIST_SIGNERS", signers)
        monkeypatch.setenv("TRUST_OTEL_TRUST_LIST_INTERVAL", "0.02")
        instrumentor.instrument(metrics=recording.metrics)
        eventually(lambda: recording.labels(UP))
        return instrumentor

    yield make
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


class TestMonitor:
    def test_lists_of_every_type(self, start: Any, recording: Any, folder: Path) -> None:
        for name, make in (("etsi", etsi_list), ("icao", icao_list), ("vical", vical_list)):
            (folder / name).write_bytes(make(SIGNER, ANCHORS))
        lists = ",".join(f"{name}={name}+{folder / name}" for name in ("etsi", "icao", "vical"))
        start(lists, f"etsi={folder}/signers.pem,vical={folder}/signers.pem")
        eventually(lambda: len(recording.series(SIGNATURE)) == 9)
        expected = {
            "issue_date": ISSUED.timestamp(),
            "next_update": NEXT.timestamp(),
            "sequence_number": 7,
            "anchors": 2,
        }
        assert exported(recording, "etsi") == exported(recording, "vical") == expected
        assert exported(recording, "icao") == {"issue_date": ISSUED.timestamp(), "anchors": 2}
        assert [status(recording, name) for name in ("etsi", "icao", "vical")] == ["valid", "not_verified", "valid"]
        assert {labels["trust.trust_list.type"] for labels, _ in recording.series(SIGNATURE)} == {
            "etsi",
            "icao",
            "vical",
        }
        assert recording.dropped() == {}

    def test_list_with_an_invalid_signature_does_not_replace_the_last_one(
        self, start: Any, recording: Any, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = folder / "list.xml"
        file.write_bytes(etsi_list(SIGNER, ANCHORS))
        start(f"eu=etsi+{file}", f"eu={folder}/signers.pem")
        eventually(lambda: recording.series(SIGNATURE) and status(recording, "eu") == "valid")
        replacement = folder / "new"
        replacement.write_bytes(trusted_list(OTHER, [], issued=ISSUED, next_update=NEXT + timedelta(days=99)))
        with caplog.at_level(logging.WARNING):
            replacement.replace(file)
            eventually(lambda: status(recording, "eu") == "invalid")
        assert exported(recording, "eu")["next_update"] == NEXT.timestamp()
        # It can be read: the source is not the problem.
        assert recording.value(UP, {"trust.otel.source.kind": "trust_lists", "trust.otel.source.name": "eu"}) == 1
        assert len([record for record in caplog.records if "signature of the trust list eu" in record.message]) == 1
        replacement.write_bytes(etsi_list(SIGNER, []))
        replacement.replace(file)
        eventually(lambda: status(recording, "eu") == "valid")
        assert exported(recording, "eu")["anchors"] == 0

    def test_url_that_fails_keeps_the_last_list(self, start: Any, recording: Any, server: _Server) -> None:
        server.body = vical_list(SIGNER, ANCHORS)
        start(f"us=vical+http://user:secret@127.0.0.1:{server.server_port}/list")
        eventually(lambda: recording.value(UP) == 1)
        eventually(lambda: 304 in server.statuses)
        assert status(recording, "us") == "not_verified"
        server.code, server.body = 503, b"down"
        eventually(lambda: recording.value(UP) == 0)
        assert exported(recording, "us")["next_update"] == NEXT.timestamp()
        assert recording.dropped().keys() == {"unreadable_source"}
        server.code, server.body = 200, vical_list(SIGNER, [])
        eventually(lambda: exported(recording, "us")["anchors"] == 0)

    @pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----"])
    def test_signers_that_cannot_be_read(self, start: Any, recording: Any, folder: Path, content: bytes) -> None:
        (folder / "list").write_bytes(etsi_list(SIGNER, ANCHORS))
        (folder / "signers.pem").write_bytes(content)
        start(f"eu=etsi+{folder}/list", f"eu={folder}/signers.pem")
        eventually(lambda: recording.series(SIGNATURE))
        assert (status(recording, "eu"), recording.value(UP)) == ("not_verified", 0)

    def test_missing_files_and_signers_without_a_list(self, start: Any, recording: Any, folder: Path) -> None:
        start(f"eu=etsi+{folder}/missing", f"ue={folder}/signers.pem")
        eventually(lambda: len(recording.series(UP)) == 2)
        assert {labels["trust.otel.source.name"]: point.value for labels, point in recording.series(UP)} == {
            "eu": 0,
            "ue": 0,
        }
        assert recording.series(SIGNATURE) == []

    def test_uninstrument_removes_series_and_thread(self, start: Any, recording: Any, folder: Path) -> None:
        (folder / "list").write_bytes(etsi_list(SIGNER, ANCHORS))
        started = start(f"eu=etsi+{folder}/list")
        eventually(lambda: recording.series(SIGNATURE))
        started.uninstrument()
        for metric in (SIGNATURE, UP, *(f"trust.trust_list.{value}" for value in VALUES)):
            assert recording.series(metric) == []
        assert [thread for thread in threading.enumerate() if thread.name == "trust-otel-trust-lists"] == []

    def test_missing_libraries_are_reported(
        self, start: Any, recording: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setitem(sys.modules, "trust_otel.monitors.trust_lists.reading", None)
        with caplog.at_level(logging.WARNING):
            start("eu=etsi+/list").uninstrument()
        assert "pip install 'trust-otel[trust-lists]'" in caplog.text


def test_every_list_is_checked_once(folder: Path) -> None:
    (folder / "list").write_bytes(etsi_list(SIGNER, ANCHORS))
    wanted = Settings.from_environment(
        {
            "TRUST_OTEL_TRUST_LISTS": f"eu=etsi+{folder}/list,us=vical+{folder}/list",
            "TRUST_OTEL_TRUST_LIST_SIGNERS": f"eu={folder}/signers.pem,ue={folder}/signers.pem",
        }
    )
    found = dict(check_lists(wanted))
    assert (found["eu"].signature, found["eu"].problem) == ("valid", None)
    assert "not valid CBOR" in (found["us"].problem or "")
    assert "TRUST_OTEL_TRUST_LISTS does not" in (found["ue"].problem or "")


def test_keys_on_other_curves(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    authority = Authority("CSCA", key=key)
    data = icao_list(Signer(authority.certificate, key), ANCHORS)
    assert icao.read(data, Signers([authority.certificate])).anchors == 2
