"""Keys of the service: compliance of their use with their policies, and approvals by custodians."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.semconv.attributes import TRUST_KEY_APPROVAL, TRUST_KEY_USE
from trust_otel.semconv.metrics import TRUST_KEY_APPROVALS, TRUST_KEY_USES

if TYPE_CHECKING:
    from trust_otel.metrics.key_policy import KeyPolicy


class _Policies:
    """The policies by name and by label of the key."""

    __slots__ = ("by_label", "by_name")

    def __init__(self) -> None:
        self.by_name: Mapping[str, KeyPolicy] = {}
        self.by_label: Mapping[str, KeyPolicy] = {}


# All objects that record with the same instruments have the same policies.
_policies: WeakKeyDictionary[Instruments, _Policies] = WeakKeyDictionary()


class KeyMetrics(Family):
    """Use and approval of keys."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._policies = _policies.setdefault(instruments, _Policies())
        self._uses = PositionalLabels(instruments.counter(TRUST_KEY_USES), "trust.key.name", "trust.key.use")
        self._approvals = PositionalLabels(
            instruments.counter(TRUST_KEY_APPROVALS), "trust.key.name", "trust.key.approval"
        )

    @fail_open
    def set_key_policies(self, policies: Iterable[KeyPolicy]) -> None:
        """Count uses of these keys from now on, and of no others.

        Args:
            policies: As `trust_otel.metrics.key_policy.read_key_policies` returns them, each name once.
        """
        before = self._policies.by_name
        wanted: dict[str, KeyPolicy] = {}
        for policy in policies:
            old = before.get(policy.name)
            # An unchanged policy keeps the uses of the last hour.
            wanted[policy.name] = old if old == policy else policy
            # Exported as 0 from the start, so that an alert sees the first one.
            for use in TRUST_KEY_USE.members:
                self._uses(0, policy.name, use)
        self._policies.by_name = wanted
        self._policies.by_label = {policy.label: policy for policy in wanted.values()}

    @fail_open
    def record_key_use(self, name: str) -> None:
        """Count a use of a key that has a policy in TRUST_OTEL_KEY_POLICY_FILE; other keys are not counted.

        Keys of an HSM that are used with python-pkcs11 need no call: their labels are in the file.

        Args:
            name: Name of the key in the file.
        """
        self._count(self._policies.by_name.get(name))

    @fail_open
    def record_key_approval(self, name: str, approval: str = "granted") -> None:
        """Count a request for approval of the use of a key by M of N custodians (quorum, dual control).

        Args:
            name: Name of the key.
            approval: `granted` (M custodians approved), `denied` (a custodian refused) or `expired` (fewer than M
                approved in time).
        """
        for each in TRUST_KEY_APPROVAL.members:
            # The others are exported as 0 from the first request on, so that an alert sees the first one.
            if each != approval:
                self._approvals(0, name, each)
        self._approvals(1, name, approval)

    @property
    def has_policies(self) -> bool:
        """Whether any key has a policy."""
        return bool(self._policies.by_name)

    @fail_open
    def note_use(self, label: str) -> None:
        """Count a use of the PKCS#11 key with this label, if it has a policy."""
        self._count(self._policies.by_label.get(label))

    def _count(self, policy: KeyPolicy | None) -> None:
        if policy is not None:
            self._uses(1, policy.name, policy.use_at(time()))
