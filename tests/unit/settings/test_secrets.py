"""Values of settings that may contain secrets are never shown; tested with many random forms (with a seed)."""

from __future__ import annotations

import json
import logging
import random
import string
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from trust_ops import settings_table
from trust_ops.doctor import examine
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerUrlError
from trust_ops.incidents.database import Database, DatabaseUrlError
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
