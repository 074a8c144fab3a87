"""What can go wrong with Grafana."""

from __future__ import annotations


class GrafanaError(RuntimeError):
    """Grafana did not do what it was asked, or was not asked; the message says why and what to do, for a person."""


class NotFoundError(GrafanaError):
    """Grafana does not have it, or the credentials may not see it."""
