"""Writes the manifests, and Grafana's data sources for Kubernetes."""

from __future__ import annotations

import os
import sys

from monitoring.k8s.rendering import KUBERNETES_SOURCES, RENDERED, RenderingError, data_sources, manifests
from trust_ops.stack.binaries import find
from trust_ops.stack.errors import BinaryUnavailable
from trust_ops.stack.recipes import binaries


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    KUBERNETES_SOURCES.write_text(data_sources(), encoding="utf-8")
    try:
        rendered = manifests(find(binaries()["kustomize"], os.environ, _progress))
    except (BinaryUnavailable, RenderingError) as error:
        sys.exit(f"{RENDERED.name} was not written: {error}")
    RENDERED.write_text(rendered, encoding="utf-8")
