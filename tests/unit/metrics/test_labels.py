"""Label values: validation, replacement and cardinality limits."""

import sys
import threading
import tracemalloc
from dataclasses import replace
from time import thread_time
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions

from trust_otel import settings
from trust_otel.recording import labels as labels_module
from trust_otel.recording.labels import LabelSets
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.semconv.metrics import (
    HTTP_SERVER_REQUEST_DURATION,
    TRUST_AUTH_ATTEMPTS,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_DOCUMENT_PROCESSING_DURATION,
    TRUST_REVENUE_AMOUNT,
    TRUST_SECURITY_AUTH_FAILURES,
)

LIMITS = settings.Settings.from_environment({}).limits


class Labels:
    """Cleans the attributes of one metric and counts what is dropped."""

    def __init__(self, metric: Any, **limits: Any) -> None:
        self._dropped = DroppedMeasurements()
        self._sets = LabelSets(metric, replace(LIMITS, **limits), self._dropped, lambda labels: labels)

    def clean(self, attributes: Any) -> dict[str, Any]:
        return dict(self._sets.cell(attributes))

    @property
    def dropped(self) -> dict[str, float]:
        return {
            str(observation.attributes["reason"]): observation.value
            for observation in self._dropped.observe_dropped(CallbackOptions())
            if observation.value and observation.attributes
        }

    @property
    def overflowed(self) -> float:
        return sum(series.value for series in self._dropped.overflow_series())


@pytest.fixture
def http() -> Labels:
    return Labels(HTTP_SERVER_REQUEST_DURATION)


@pytest.fixture
def auth() -> Labels:
    return Labels(TRUST_AUTH_ATTEMPTS)


@pytest.fixture
def revenue() -> Labels:
    return Labels(TRUST_REVENUE_AMOUNT, client_names=frozenset({"acme"}))


def test_declared_attributes_are_unchanged(http: Labels) -> None:
    attributes = {"http.request.method": "GET", "http.route": "/a/{b}", "http.response.status_code": 200}
    assert http.clean(attributes) == attributes
    assert http.dropped == {}


def test_attribute_with_value_none_is_omitted(http: Labels) -> None:
    assert http.clean({"http.request.method": "GET", "http.route": None}) == {"http.request.method": "GET"}
    assert http.dropped == {}


def test_undeclared_attribute_is_dropped_and_counted(http: Labels) -> None:
    assert http.clean({"http.request.method": "GET", "user.id": "42"}) == {"http.request.method": "GET"}
    assert http.dropped == {"unknown_attribute": 1}


@pytest.mark.parametrize("key", [None, 1, ("http.route",), b"http.route", "", "HTTP.ROUTE", "http.route\n"])
def test_invalid_attribute_key_is_dropped(http: Labels, key: object) -> None:
    assert http.clean({key: "/a"}) == {}
    assert http.dropped == {"unknown_attribute": 1}


def test_unknown_value_of_an_enum_attribute_becomes_other(http: Labels) -> None:
    assert http.clean({"http.request.method": "PROPFIND"}) == {"http.request.method": "_OTHER"}
    assert http.dropped == {"unknown_value": 1}


def test_other_is_not_counted_as_dropped(http: Labels) -> None:
    assert http.clean({"http.request.method": "_OTHER"}) == {"http.request.method": "_OTHER"}
    assert http.dropped == {}


@pytest.mark.parametrize("country", ["de", "DEU", "D", "", "D1", "DE\n", "\uff24\uff25", "ÄÖ"])
def test_value_not_matching_the_pattern_becomes_other(auth: Labels, country: str) -> None:
    assert auth.clean({"geo.country.iso_code": country}) == {"geo.country.iso_code": "_other"}
    assert auth.dropped["unknown_value"] == 1


@pytest.mark.parametrize("status", [99, 600, -200, 0, 2**63 - 1, 10**400, pytest.param(10**5000, id="huge")])
def test_out_of_range_number_becomes_other(http: Labels, status: int) -> None:
    assert http.clean({"http.response.status_code": status}) == {"http.response.status_code": "_other"}
    assert sum(http.dropped.values()) == 1


@pytest.mark.parametrize("status", ["200", 200.5, float("nan"), True, [200], {}, object(), b"200"])
def test_non_integer_status_code_becomes_other_and_is_counted(http: Labels, status: object) -> None:
    assert http.clean({"http.response.status_code": status}) == {"http.response.status_code": "_other"}
    assert http.dropped == {"attribute_type": 1}


@pytest.mark.parametrize("route", [b"/\xff", bytearray(b"/a"), ["/a"], {"a": 1}, object(), lambda: "/a", 1j])
def test_non_string_value_becomes_other_and_is_counted(http: Labels, route: object) -> None:
    assert http.clean({"http.route": route}) == {"http.route": "_other"}
    assert http.dropped == {"attribute_type": 1}


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (1.5, "1.5"), (True, "True")])
def test_number_is_converted_to_string(http: Labels, value: object, text: str) -> None:
    assert http.clean({"http.route": value}) == {"http.route": text}


def test_number_over_the_length_limit_becomes_other(http: Labels) -> None:
    for number in (10**400, 10**5000):
        assert http.clean({"http.route": number}) == {"http.route": "_other"}
    assert http.dropped == {"attribute_type": 2}


@pytest.mark.parametrize(
    "text", ["/a\nb", "/a\rb", "/a\x00b", "/a\x1b[31mb", "/a\x7fb", "/a\x85b", "/a\u2028b", "/a\ud800b", "\udcff"]
)
def test_control_characters_and_surrogates_are_replaced_and_counted(http: Labels, text: str) -> None:
    cleaned = http.clean({"http.route": text})["http.route"]
    assert cleaned.encode()
    assert cleaned.splitlines() == [cleaned]
    assert "�" in cleaned
    assert http.dropped == {"attribute_encoding": 1}


@pytest.mark.parametrize("text", ["Grüße", "日本", "🎉", 'quote"backslash\\', "/a\u00a0b", "", " "])
def test_printable_text_is_unchanged(http: Labels, text: str) -> None:
    assert http.clean({"http.route": text}) == {"http.route": text}
    assert http.dropped == {}


def test_long_value_is_truncated_and_counted(http: Labels) -> None:
    assert http.clean({"http.route": "/" * 129}) == {"http.route": "/" * 128}
    assert http.dropped == {"attribute_length": 1}


def test_cleaning_a_huge_value_takes_little_time_and_memory() -> None:
    labels = Labels(HTTP_SERVER_REQUEST_DURATION)
    megabytes = [f"/{number}" + "\n\ud800x" * 3_000_000 for number in range(5)]
    for text in megabytes:
        hash(text)  # strings cache their hash: leave computing it out of the measurement
    tracemalloc.start()
    started = thread_time()
    for text in megabytes:
        labels.clean({"http.route": text})
    seconds = thread_time() - started
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 0.05
    assert kept < 100_000
    assert labels.dropped["attribute_length"] == 5


def test_equal_attributes_return_the_cached_labels(http: Labels) -> None:
    first = http._sets.cell({"http.request.method": "GET", "http.route": "/"})
    assert http._sets.cell({"http.request.method": "GET", "http.route": "/"}) is first


def test_attribute_order_does_not_create_another_label_set() -> None:
    labels = Labels(HTTP_SERVER_REQUEST_DURATION, label_sets=10)
    for _ in range(20):
        labels.clean({"http.request.method": "GET", "http.route": "/"})
        labels.clean({"http.route": "/", "http.request.method": "GET"})
    assert labels.overflowed == 0


def test_drops_are_counted_on_every_call(http: Labels) -> None:
    for _ in range(3):
        http.clean({"user.id": "42", "http.request.method": "PROPFIND", "http.route": "/a\nb"})
    assert http.dropped == {"unknown_attribute": 3, "unknown_value": 3, "attribute_encoding": 3}


def test_unlisted_client_becomes_other_without_being_counted(revenue: Labels) -> None:
    assert revenue.clean({"trust.client.name": "acme"}) == {"trust.client.name": "acme"}
    assert revenue.clean({"trust.client.name": "Mary Smith"}) == {"trust.client.name": "_other"}
    assert revenue.dropped == {}


class TestDocumentTypes:
    """With and without an allow-list in TRUST_OTEL_DOCUMENT_TYPES."""

    def test_unlisted_type_becomes_other_without_being_counted(self) -> None:
        documents = Labels(TRUST_DOCUMENT_PROCESSING_DURATION, document_types=frozenset({"passport", "Diploma (MSc)"}))
        for listed in ("passport", "Diploma (MSc)"):
            assert documents.clean({"trust.document.type": listed}) == {"trust.document.type": listed}
        assert documents.clean({"trust.document.type": "mustermann"}) == {"trust.document.type": "_other"}
        assert documents.dropped == {}
        assert documents.overflowed == 0

    def test_without_allow_list_any_type_except_personal_data_is_kept(self) -> None:
        documents = Labels(TRUST_DOCUMENT_PROCESSING_DURATION)
        assert documents.clean({"trust.document.type": "passport"}) == {"trust.document.type": "passport"}
        assert documents.clean({"trust.document.type": "Erika Mustermann"}) == {"trust.document.type": "_other"}
        assert documents.dropped == {"private_value": 1}


class TestPersonalData:
    """Replacement of the values that `trust_otel.privacy.pii` detects."""

    @pytest.mark.parametrize("text", ["erika@example.org", "Erika Mustermann", "/u/4111111111111111", "203.0.113.7"])
    def test_personal_data_becomes_other_and_is_counted_every_time(self, http: Labels, text: str) -> None:
        for count in (1, 2):
            assert http.clean({"http.route": text}) == {"http.route": "_other"}
            assert http.dropped == {"private_value": count}

    def test_personal_data_in_error_type_becomes_uppercase_other(self, http: Labels) -> None:
        assert http.clean({"error.type": "no user erika@example.org"}) == {"error.type": "_OTHER"}

    def test_card_number_as_integer_becomes_other(self, http: Labels) -> None:
        assert http.clean({"http.route": 4111111111111111}) == {"http.route": "_other"}
        assert http.dropped == {"private_value": 1}

    def test_personal_data_beyond_the_length_limit_becomes_other(self, http: Labels) -> None:
        assert http.clean({"http.route": "/" + "a" * 120 + "/erika@example.org"}) == {"http.route": "_other"}

    def test_personal_data_does_not_count_towards_the_value_limit(self, auth: Labels) -> None:
        for number in range(100):
            auth.clean({"trust.auth.method": f"user{number}@example.org"})
        assert auth.clean({"trust.auth.method": "password"}) == {"trust.auth.method": "password"}
        assert auth.overflowed == 0

    def test_certificate_name_can_be_an_address_or_path(self) -> None:
        certificates = Labels(TRUST_CERTIFICATE_NOT_AFTER)
        for name in ("203.0.113.7:8443", "/etc/my certificates/ca", "trust/tls-secret"):
            assert certificates.clean({"trust.certificate.name": name}) == {"trust.certificate.name": name}
        for name in ("CN=Erika", "https://user:secret@203.0.113.7"):
            assert certificates.clean({"trust.certificate.name": name}) == {"trust.certificate.name": "_other"}

    def test_client_addresses_and_enum_values_are_not_checked_for_personal_data(self) -> None:
        failures = Labels(TRUST_SECURITY_AUTH_FAILURES)
        assert failures.clean({"client.address": "203.0.113.7"}) == {"client.address": "203.0.113.7"}
        auth = Labels(TRUST_AUTH_ATTEMPTS)
        assert auth.clean({"geo.country.iso_code": "Erika Mustermann"}) == {"geo.country.iso_code": "_other"}
        assert auth.dropped == {"unknown_value": 1}

    def test_known_value_is_not_checked_again(self, http: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
        http.clean({"http.route": "/a", "http.response.status_code": 200})
        monkeypatch.setattr(labels_module, "looks_private", lambda text, **_: pytest.fail("checked again"))
        http.clean({"http.route": "/a", "http.response.status_code": 404})


def test_values_over_the_attribute_limit_become_other_and_are_counted(auth: Labels) -> None:
    seen = {auth.clean({"trust.auth.method": f"method-{number}"})["trust.auth.method"] for number in range(100)}
    assert len(seen) == 20 + 1
    assert "_other" in seen
    assert auth.overflowed == 80
    assert auth.clean({"trust.auth.method": "method-0"}) == {"trust.auth.method": "method-0"}


def test_label_sets_over_the_limit_become_other_and_keep_enum_attributes() -> None:
    labels = Labels(HTTP_SERVER_REQUEST_DURATION, label_sets=10)
    for number in range(10):
        labels.clean({"http.request.method": "GET", "http.route": f"/{number}", "http.response.status_code": 200})
    assert labels.overflowed == 0
    over_limit = labels.clean({"http.request.method": "POST", "http.route": "/10", "http.response.status_code": 500})
    assert over_limit == {"http.request.method": "POST", "http.route": "_other", "http.response.status_code": 500}
    assert labels.overflowed == 1
    known = labels.clean({"http.request.method": "GET", "http.route": "/3", "http.response.status_code": 200})
    assert known["http.route"] == "/3"
    assert labels.overflowed == 1


def test_memory_is_bounded_for_20000_values() -> None:
    labels = Labels(HTTP_SERVER_REQUEST_DURATION, label_sets=50)
    labels.clean({"http.route": "/"})
    tracemalloc.start()
    seen = {
        tuple(
            labels.clean(
                {
                    "http.request.method": ("GET", "POST")[number % 2],
                    "http.route": f"/{number}",
                    "error.type": f"Error{number}",
                    f"junk.{number}": number,
                }
            ).items()
        )
        for number in range(20_000)
    }
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) <= 52
    assert kept < 500_000
    assert labels.overflowed > 19_000


def test_label_set_limit_holds_under_concurrency() -> None:
    labels = Labels(HTTP_SERVER_REQUEST_DURATION, label_sets=40)
    seen: list[set[Any]] = [set() for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:

        def work(mine: set[Any]) -> None:
            for number in range(1000):
                mine.add(labels.clean({"http.route": f"/{number % 60}"})["http.route"])

        threads = [threading.Thread(target=work, args=(mine,)) for mine in seen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(set.union(*seen)) == 40 + 1


def test_attributes_can_be_any_mapping(http: Labels) -> None:
    assert http.clean(MappingProxyType({"http.route": "/"})) == {"http.route": "/"}


def test_changing_the_attributes_does_not_change_the_labels(http: Labels) -> None:
    attributes = {"http.route": "/"}
    labels = http._sets.cell(attributes)
    attributes["http.route"] = "/changed"
    assert labels == {"http.route": "/"}
