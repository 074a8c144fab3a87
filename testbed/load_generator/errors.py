"""Errors of the load generator."""

from __future__ import annotations


class SimulationError(Exception):
    """The load generator cannot start; the message says why."""


class UnansweredError(Exception):
    """There was no response, so the outcome is unknown."""


class UnexpectedAnswerError(Exception):
    """The response does not determine the outcome."""
