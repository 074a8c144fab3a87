"""Errors of Grafana."""

from __future__ import annotations


class GrafanaError(RuntimeError):
    """A request to Grafana failed or was not possible; the message names the reason and a fix, for the user."""


class NotFoundError(GrafanaError):
    """It does not exist, or the credentials lack access."""
