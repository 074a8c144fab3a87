"""A Litestar application with its plugin for OpenTelemetry."""

from __future__ import annotations

from litestar import Litestar
from litestar.plugins.opentelemetry import OpenTelemetryPlugin
from litestar_plain import HANDLERS

application = Litestar(HANDLERS, plugins=[OpenTelemetryPlugin()])
