"""What can go wrong with a request of the simulation."""

from __future__ import annotations


class SimulationError(Exception):
    """The simulation cannot start; the text says why."""


class UnansweredError(Exception):
    """No answer came, so what the service did is unknown."""


class UnexpectedAnswerError(Exception):
    """An answer came that does not tell what the service did."""
