"""Renders the kustomize base into the manifests that are applied."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

BASE: Final = Path(__file__).with_name("base")
RENDERED: Final = Path(__file__).with_name("trust-service-monitoring.yaml")
SOURCES: Final = Path(__file__).parents[1] / "provisioning" / "datasources" / "trust-service.yml"
KUBERNETES_SOURCES: Final = BASE / "grafana" / "datasources.yml"

_HEADER = "# Written by `make generate` from monitoring/k8s/base. Do not edit.\n"
_AFTER = "      prometheusType: Prometheus\n"
_TLS = """\
      tlsAuth: true
      tlsAuthWithCACert: true
"""
_SECURE = """\
    secureJsonData:
      tlsCACert: $__file{/run/secrets/grafana-tls/ca.crt}
      tlsClientCert: $__file{/run/secrets/grafana-tls/tls.crt}
      tlsClientKey: $__file{/run/secrets/grafana-tls/tls.key}
"""


class RenderingError(Exception):
    """kustomize rejects the base; the message is its own."""


def data_sources() -> str:
    """Grafana's data sources, with the certificate that Prometheus demands in Kubernetes."""
    before, found, after = SOURCES.read_text(encoding="utf-8").partition(_AFTER)
    assert found  # noqa: S101 - the file is ours
    editable = "    editable: false\n"
    return f"{_HEADER}{before.replace(editable, editable + _SECURE, 1)}{found}{_TLS}{after}"


def manifests(kustomize: Path, folder: Path = BASE) -> str:
    """What `kustomize build` prints for the base or an overlay. Raises RenderingError."""
    command = [str(kustomize), "build", "--load-restrictor=LoadRestrictionsNone", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own executable
    if answer.returncode:
        raise RenderingError(answer.stderr.strip())
    return _HEADER + answer.stdout
