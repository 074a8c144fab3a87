"""Errors of the load generator."""

from __future__ import annotations


class LoadGeneratorError(Exception):
    """The load generator cannot start; the message says why."""


class NoResponseError(Exception):
    """There was no response, so the outcome is unknown."""


class UnexpectedResponseError(Exception):
    """The response does not determine the outcome."""
