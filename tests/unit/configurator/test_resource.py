"""The resource of the telemetry."""

import re
from types import SimpleNamespace
from uuid import UUID

import pytest
from opentelemetry.sdk.resources import Resource, ResourceDetector
from opentelemetry.util import _importlib_metadata

from trust_otel import __version__
from trust_otel.configurator import make_resource


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"):
        monkeypatch.delenv(name, raising=False)


def _resource() -> Resource:
    return make_resource("0.66")


def test_resource_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "signer")
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "service.name=loses,service.version=1.2,deployment.environment.name=prod,a=b%2Cc"
    )
    attributes = _resource().attributes
    assert attributes["service.name"] == "signer"
    assert attributes["service.version"] == "1.2"
    assert attributes["deployment.environment.name"] == "prod"
    assert attributes["a"] == "b,c"


def test_resource_has_the_distro_and_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "signer")
    attributes = _resource().attributes
    assert attributes["telemetry.distro.name"] == "trust-otel"
    assert attributes["telemetry.distro.version"] == __version__
    assert attributes["telemetry.auto.version"] == "0.66"
    assert attributes["telemetry.sdk.language"] == "python"


def test_process_without_a_configured_id_has_a_generated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "signer")
    assert UUID(str(_resource().attributes["service.instance.id"]))


def test_configured_id_is_kept_with_a_suffix_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=signer,service.instance.id=pod-7")
    made = str(_resource().attributes["service.instance.id"])
    assert re.fullmatch("pod-7-[0-9a-f]{12}", made)
    assert _resource().attributes["service.instance.id"] == made


def test_id_of_a_detector_also_gets_a_suffix(monkeypatch: pytest.MonkeyPatch) -> None:
    class Detector(ResourceDetector):
        def detect(self) -> Resource:
            return Resource({"service.instance.id": "detected"})

    entry_point = SimpleNamespace(load=lambda: Detector)
    monkeypatch.setattr(_importlib_metadata, "entry_points", lambda **_: [entry_point])
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "service_instance,detected")
    assert re.fullmatch("detected-[0-9a-f]{12}", str(_resource().attributes["service.instance.id"]))


@pytest.mark.parametrize("variables", [{}, {"OTEL_SERVICE_NAME": ""}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name="}])
def test_missing_service_name_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _resource()
    assert "OTEL_SERVICE_NAME" in caplog.text


def test_service_name_logs_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "signer")
    _resource()
    assert caplog.records == []


def test_invalid_bytes_in_the_environment_do_not_stop_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "signer\udcff")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=\udcfe\udcff")
    for value in _resource().attributes.values():
        assert str(value).encode()
