"""Values of settings that may contain secrets are never shown; tested with many random forms (with a seed)."""

from __future__ import annotations

import json
import logging
import random
import string
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from trust_ops import settings_table
from trust_ops.doctor import examine
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerUrlError
from trust_ops.incidents.database import Database, DatabaseUrlError
from trust_ops.stack.ports import free_ports
from trust_otel import distro, settings
from trust_otel.log_safe import url_origin

_SECRET_SETTINGS = [setting for setting in settings.SETTINGS if setting.secret]
_MARK = "HuNtEr2"
"""Part of every secret, so that a partial leak is found too."""

_SCHEMES = ("postgresql", "postgres", "redis", "http", "https", "grpc", "tls+postgres", "crl+https", "ocsp+http", "tls")
_FORMS = (
    "SCHEME://user:SECRET@127.0.0.1:1/x",
    "SCHEME://:SECRET@127.0.0.1:1",
    "SCHEME:user:SECRET@127.0.0.1",
    "SCHEME:/user:SECRET@127.0.0.1/x",
    "SCHEME//user:SECRET@127.0.0.1",
    "SCHEME://user:12/SECRET@127.0.0.1/x",
    "SCHEME://user:12?SECRET@127.0.0.1/x",
    "SCHEME://user:SECRET/@127.0.0.1:1",
    "SCHEME://127.0.0.1:1/x?api_key=SECRET",
    "SCHEME://127.0.0.1:1/x?sig=SECRET&se=1",
    "SCHEME://127.0.0.1:SECRET/",
    "SCHEME://[SECRET/",
    "SCHEME://user:SECRET\u2100@h/",
    "user:SECRET@127.0.0.1:1",
    "127.0.0.1:1/?key=SECRET",
    "host=127.0.0.1 port=1 user=u password=SECRET",
    "authorization: Bearer SECRET",
    "authorization Bearer SECRET",
    "authorization=Bearer\\SECRET",
    'authorization="SECRET"',
    "x=%0aSECRET",
    "SECRET://h",
    "-----BEGIN PRIVATE KEY-----SECRET",
    "https://download.test/file?license_key=SECRET",
)
_ENTRIES = (
    "FORM",
    "db=FORM",
    "db:database=FORM",
    "a=http://127.0.0.1:1,FORM",
    "FORM,b=http://127.0.0.1:1",
    "db=FORM,db=FORM",
)


def _values(number: int, seed: str) -> Iterator[str]:
    made = random.Random(seed)
    for _ in range(number):
        around = "".join(made.choices(string.ascii_letters + string.digits + " ,;=@:/?#%&'\"\\+[]{}~\u00e4\n", k=6))
        secret = around[:3] + _MARK + around[3:]
        form = made.choice(_FORMS).replace("SCHEME", made.choice(_SCHEMES)).replace("SECRET", secret)
        yield made.choice(_ENTRIES).replace("FORM", form)


def _environment(setting: settings.Setting, value: str) -> dict[str, str]:
    """The value, where nothing else takes time."""
    return {
        "OTEL_METRICS_EXPORTER": "none" if setting.own else "otlp",
        "OTEL_PYTHON_DISTRO": "trust_distro",
        "TRUST_OTEL_DEPENDENCY_TIMEOUT": "0.2",
        setting.name: value,
    }


def _shown_by_the_table(environment: dict[str, str]) -> str:
    return settings_table.settings_text(environment) + json.dumps(settings_table.settings_json(environment))


@pytest.mark.parametrize("setting", _SECRET_SETTINGS, ids=lambda setting: setting.name)
def test_log_errors_and_table_do_not_show_secrets(setting: settings.Setting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for value in _values(40, setting.name):
        environment = _environment(setting, value)
        shown = _shown_by_the_table(environment) + repr(settings.check(environment))
        shown += repr(settings.Settings.from_environment(environment))
        strict = {**environment, settings.STRICT: "true"}
        try:
            distro.prepare(strict)
        except distro.InvalidSettingsError as refusal:
            shown += str(refusal)
        distro.prepare(dict(environment))
        assert _MARK not in shown + caplog.text, value
        caplog.clear()


@pytest.mark.parametrize("setting", _SECRET_SETTINGS, ids=lambda setting: setting.name)
def test_doctor_does_not_show_secrets(setting: settings.Setting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for value in _values(8, setting.name):
        found = list(examine(_environment(setting, value)))
        assert _MARK not in str(found) + caplog.text, value
        caplog.clear()


def test_names_of_accepted_entries_contain_no_secret() -> None:
    """They become label values."""
    for value in _values(300, "names"):
        names = ("TRUST_OTEL_DEPENDENCIES", "TRUST_OTEL_CERTIFICATES")
        read = settings.Settings.from_environment(dict.fromkeys(names, value))
        parsed = [one.name or "" for one in read.dependencies or ()]
        parsed += [one.name or "" for one in read.certificates or ()]
        assert not any(_MARK in name for name in parsed), value


def _is_host(value: str) -> bool:
    """Whether the random form is a valid URL with the secret as its host."""
    try:
        return _MARK.lower() in (urlsplit(value).hostname or "")
    except ValueError:
        return False


def test_urls_of_the_incident_receiver_are_shown_without_secrets() -> None:
    for value in _values(300, "names"):
        if _is_host(value):
            continue
        shown = url_origin(value)
        try:
            shown += str(Database(value))
        except DatabaseUrlError as error:
            shown += str(error)
        try:
            Alertmanager([value])
        except AlertmanagerUrlError as error:
            shown += str(error)
        except Exception as error:
            shown += type(error).__name__
        assert _MARK not in shown, value


_PROGRAM = """
import logging, time
logging.basicConfig(level=logging.DEBUG)
from opentelemetry import metrics
from urllib.request import urlopen
metrics.get_meter("m").create_counter("c").add(1)
metrics.get_meter_provider().force_flush(3000)
time.sleep(5)
print(urlopen("http://127.0.0.1:PORT/metrics").read().decode())
"""
_MIXTURES = (
    {
        "TRUST_OTEL_DEPENDENCIES": "db=postgresql://u:HuNtEr2@127.0.0.1:1/x,api=http://127.0.0.1:1/?api_key=HuNtEr2,"
        "cache=redis://:HuNtEr2@127.0.0.1:1/0,peer=grpc://u:HuNtEr2@127.0.0.1:1",
        "TRUST_OTEL_CERTIFICATES": "https://u:HuNtEr2@127.0.0.1:1/?sig=HuNtEr2,crl+http://127.0.0.1:1/x.crl?sig=HuNtEr2",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:HuNtEr2@127.0.0.1:1/?sig=HuNtEr2&x=",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization Bearer HuNtEr2,x=y",
        "OTEL_RESOURCE_ATTRIBUTES": "a=b,password HuNtEr2",
    },
    {
        "TRUST_OTEL_DEPENDENCIES": "db=host=127.0.0.1 password=HuNtEr2",
        "TRUST_OTEL_CERTIFICATES": "tls+postgres:u:HuNtEr2@127.0.0.1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:HuNtEr2@127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=a%0aHuNtEr2",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "HuNtEr2",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "-----BEGIN PRIVATE KEY----- HuNtEr2",
        "TRUST_OTEL_GEOIP_DATABASE": "https://download.test/?license_key=HuNtEr2",
    },
)


@pytest.mark.parametrize("variables", _MIXTURES)
def test_service_shows_no_secret_in_its_log_or_series(
    launched: Callable[..., subprocess.CompletedProcess[str]], variables: dict[str, str]
) -> None:
    (port,) = free_ports(1)
    done = launched(
        _PROGRAM.replace("PORT", str(port)),
        OTEL_METRICS_EXPORTER="otlp,prometheus",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        **variables,
    )
    assert done.returncode == 0, done.stderr.replace(_MARK, "...")
    assert "trust_otel_dropped" in done.stdout
    assert _MARK not in done.stdout
    assert _MARK not in done.stderr


def test_error_of_a_configuration_file_shows_no_value_of_the_environment(
    launched: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text('file_format: "1.0"\nmeter_provider:\n  readers: ${SECRET}\n')
    done = launched("print('started')", OTEL_CONFIG_FILE=str(file), SECRET="HuNtEr2")
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert "meter_provider -> readers does not match the schema" in done.stderr
    assert _MARK not in done.stderr
