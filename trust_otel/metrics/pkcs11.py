"""Hardware security modules (HSM) that the service uses through PKCS#11."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from trust_otel.metrics.family import Family
from trust_otel.recording.instruments import Instruments, Observations, PositionalLabels, Record
from trust_otel.semconv.metrics import (
    TRUST_PKCS11_OPERATION_ACTIVE,
    TRUST_PKCS11_OPERATION_DURATION,
    TRUST_PKCS11_SESSION_COUNT,
    TRUST_PKCS11_SESSION_MAX,
    TRUST_PKCS11_SLOT_COUNT,
    TRUST_PKCS11_TOKEN_MEMORY_FREE,
)

_TOKEN = "trust.pkcs11.token.label"  # noqa: S105 - no secret


@dataclass(frozen=True)
class TokenState:
    """The state of a token.

    Attributes:
        label: Label of the token.
        sessions: Open sessions of this process.
        max_sessions: Maximum number of them; `None` if there is no limit or the token does not give it.
        free_memory: Free bytes for `public` and `private` objects, as far as the token gives them.
    """

    label: str
    sessions: int
    max_sessions: int | None = None
    free_memory: Mapping[str, int] = field(default_factory=dict)


class Pkcs11Metrics(Family):
    """Operations, sessions, slots and tokens."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._durations = instruments.histogram(TRUST_PKCS11_OPERATION_DURATION)
        self.record_operation = PositionalLabels(
            self._durations,
            "trust.pkcs11.operation",
            "trust.pkcs11.mechanism",
            _TOKEN,
            "error.type",
        )
        """Records the seconds of an operation, given its name, mechanism, token and error."""
        self.add_active = PositionalLabels(
            instruments.up_down_counter(TRUST_PKCS11_OPERATION_ACTIVE), "trust.pkcs11.operation", _TOKEN
        )
        """Adds 1 when an operation begins and -1 when it ends, given its name and token."""

    def bind_operation(self, operation: str, mechanism: str | None, token: str) -> Record:
        """A function that records the seconds of operations of one kind that succeed."""
        return self._durations.bind(
            {"trust.pkcs11.operation": operation, "trust.pkcs11.mechanism": mechanism, _TOKEN: token}
        )

    def observe_tokens(
        self, tokens: Callable[[], Iterable[TokenState]], slots: Callable[[], Mapping[str, int]]
    ) -> None:
        """Read the state at each collection.

        Args:
            tokens: Returns the state of each token.
            slots: Returns the number of slots by `trust.pkcs11.slot.state`; empty if it is not known.
        """

        def each(number: Callable[[TokenState], int | None]) -> Observations:
            return lambda: [
                (amount, {_TOKEN: token.label}) for token in tokens() if (amount := number(token)) is not None
            ]

        self._instruments.observe(TRUST_PKCS11_SESSION_COUNT, each(lambda token: token.sessions))
        self._instruments.observe(TRUST_PKCS11_SESSION_MAX, each(lambda token: token.max_sessions))
        self._instruments.observe(
            TRUST_PKCS11_SLOT_COUNT,
            lambda: [(number, {"trust.pkcs11.slot.state": state}) for state, number in slots().items()],
        )
        self._instruments.observe(
            TRUST_PKCS11_TOKEN_MEMORY_FREE,
            lambda: [
                (free, {_TOKEN: token.label, "trust.pkcs11.memory.type": kind})
                for token in tokens()
                for kind, free in token.free_memory.items()
            ],
        )
