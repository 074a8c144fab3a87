"""A WSGI application without a framework, in OpenTelemetry's middleware."""

from __future__ import annotations

import wsgi_plain
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

application = OpenTelemetryMiddleware(wsgi_plain.application)
