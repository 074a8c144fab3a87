"""A launched service never shows values of settings that may contain secrets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from trust_ops.stack.ports import free_ports

_MARK = "HuNtEr2"
"""Part of every secret, so that a partial leak is found too."""


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
