"""Keys and hardware security modules (HSM)."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.alerts import threshold
from monitoring.dashboards.panels import Column, PanelText, Query, table_panel, time_series_panel
from monitoring.dashboards.pki.constants import SERVICE_KEY, SERVICE_WIDTH
from monitoring.dashboards.queries import increase, quantile, rate, series, total, zero_if_recorded
from monitoring.dashboards.thresholds import NONE_ALLOWED, rising
from trust_otel.semconv.metrics import (
    TRUST_KEY_APPROVALS,
    TRUST_KEY_USES,
    TRUST_PKCS11_OPERATION_ACTIVE,
    TRUST_PKCS11_OPERATION_DURATION,
    TRUST_PKCS11_SESSION_COUNT,
    TRUST_PKCS11_SESSION_MAX,
    TRUST_PKCS11_SLOT_COUNT,
    TRUST_PKCS11_TOKEN_MEMORY_FREE,
)

OPERATIONS, SLOWEST, ERRORS, SESSIONS, USES, APPROVALS, TOKENS, SLOTS = range(30, 38)

_TOKEN: Final = "trust_pkcs11_token_label"  # noqa: S105 - no secret
_BY_TOKEN: Final = ("service_name", _TOKEN)
_NO_HSM: Final = "No service uses an HSM with python-pkcs11, or none has used it in the selected time range."
_WAITED_FOR: Final = 'trust_pkcs11_operation=~"sign|decrypt|unwrap|derive"'


def hsm_operations() -> timeseries.Panel:
    """Operations by mechanism."""
    by = ("trust_pkcs11_operation", "trust_pkcs11_mechanism")
    return time_series_panel(
        PanelText(
            OPERATIONS,
            "HSM operations",
            "What do the HSMs do? Operations per second by mechanism, over all services and tokens; searches and "
            "sessions have no mechanism.",
            "A mechanism that nobody has planned, such as SHA-1: find the service in the runbook of TrustHsmErrors.",
            _NO_HSM,
        ),
        "ops",
        (
            Query(
                "{{trust_pkcs11_operation}} {{trust_pkcs11_mechanism}}",
                total(rate(TRUST_PKCS11_OPERATION_DURATION, part="_count"), *by),
            ),
        ),
        highest_first=True,
    )


def hsm_duration() -> timeseries.Panel:
    """The slowest operations for which a caller waits."""
    return time_series_panel(
        PanelText(
            SLOWEST,
            "HSM duration",
            "Is an HSM slow? 95th percentile of what a caller waits for: sign, decrypt, unwrap and derive.",
            "All tokens of a device: its load, or the network to it. One service: the number of its sessions.",
            _NO_HSM,
            alerts=("TrustHsmSlow",),
        ),
        "s",
        (
            Query(
                "{{service_name}}: {{trust_pkcs11_token_label}}",
                quantile(0.95, TRUST_PKCS11_OPERATION_DURATION, _WAITED_FOR, by=_BY_TOKEN),
            ),
        ),
        levels=rising(red=threshold("TrustHsmSlow")),
        highest_first=True,
    )


def hsm_errors() -> timeseries.Panel:
    """Operations that failed, by return value."""
    return time_series_panel(
        PanelText(
            ERRORS,
            "HSM errors",
            "Which operations does an HSM refuse? Failed operations in 5 minutes by return value, also those that are "
            "the fault of a caller's data.",
            "CKR_DEVICE_…, CKR_TOKEN_… and CKR_GENERAL_ERROR are about the device, CKR_SESSION_… about the sessions, "
            "CKR_PIN_… about the login: stop all retries.",
            "No operation of an HSM failed in the selected time range.",
            alerts=("TrustHsmErrors", "TrustHsmSessionsExhausted"),
        ),
        "short",
        (
            Query(
                "{{service_name}}: {{trust_pkcs11_token_label}} {{error_type}}",
                total(
                    increase(TRUST_PKCS11_OPERATION_DURATION, 'error_type!=""', part="_count", over="5m"),
                    *_BY_TOKEN,
                    "error_type",
                )
                + " or "
                + zero_if_recorded(TRUST_PKCS11_OPERATION_DURATION, by=_BY_TOKEN, part="_count"),
            ),
        ),
        levels=NONE_ALLOWED,
        highest_first=True,
    )


def hsm_sessions() -> timeseries.Panel:
    """Sessions compared with their limit."""
    open_sessions = series(TRUST_PKCS11_SESSION_COUNT)
    return time_series_panel(
        PanelText(
            SESSIONS,
            "HSM sessions",
            "Does a service run out of sessions? Share of the sessions that are open in the fullest instance, for "
            "tokens that give a limit, and the number of open sessions of all instances.",
            "A share that only rises: sessions leak. Restart the instance, and find the code that does not close them.",
            _NO_HSM,
            alerts=("TrustHsmSessionsExhausted",),
        ),
        "percentunit",
        (
            Query(
                "{{service_name}}: {{trust_pkcs11_token_label}}",
                f"max by ({', '.join(_BY_TOKEN)}) ({open_sessions} / ({series(TRUST_PKCS11_SESSION_MAX)} > 0))",
            ),
            Query(
                "{{service_name}}: {{trust_pkcs11_token_label}}, open",
                total(open_sessions, *_BY_TOKEN),
                unit="short",
                dashed=True,
            ),
        ),
        levels=rising(red=threshold("TrustHsmSessionsExhausted", "warning")),
        highest_first=True,
    )


def key_uses() -> timeseries.Panel:
    """Uses of keys by compliance with their policy."""
    by = ("service_name", "trust_key_name", "trust_key_use")
    return time_series_panel(
        PanelText(
            USES,
            "Key use against policy",
            "Was a key used when it must not be? Uses in 5 minutes that were outside the hours or above the rate of "
            "the key's policy.",
            "Ask the key's custodian. Nobody knows of it: treat the key as compromised.",
            "No key has a policy. Set TRUST_OTEL_KEY_POLICY_FILE.",
            alerts=("TrustKeyUsedOutsidePolicy",),
        ),
        "short",
        (
            Query(
                "{{service_name}}: {{trust_key_name}} {{trust_key_use}}",
                total(increase(TRUST_KEY_USES, 'trust_key_use!="allowed"', over="5m"), *by),
            ),
        ),
        levels=NONE_ALLOWED,
        highest_first=True,
    )


def key_approvals() -> table.Panel:
    """Approvals by custodians."""
    keys = {**SERVICE_KEY, "trust_key_name": "Key"}

    def requests(approval: str) -> str:
        return total(increase(TRUST_KEY_APPROVALS, f'trust_key_approval="{approval}"'), *keys)

    return table_panel(
        PanelText(
            APPROVALS,
            "Key approvals",
            "Which uses of a key did the M of N custodians approve? Requests in the selected time range, by result.",
            "Denied or expired: compare with the ceremony's record, and ask who requested it.",
            "No service records approvals with record_key_approval.",
        ),
        keys,
        (
            Column("Denied", requests("denied"), levels=rising(yellow=1, red=1e9), decimals=0),
            Column("Expired", requests("expired"), levels=rising(yellow=1, red=1e9), decimals=0),
            Column("Granted", requests("granted"), decimals=0),
        ),
        sort="Denied",
        key_widths=SERVICE_WIDTH,
        width=12,
    )


def hsm_tokens() -> table.Panel:
    """What each token says of itself."""
    keys = {**SERVICE_KEY, _TOKEN: "Token"}

    def free(kind: str) -> str:
        memory = series(TRUST_PKCS11_TOKEN_MEMORY_FREE, f'trust_pkcs11_memory_type="{kind}"')
        return f"min by ({', '.join(keys)}) ({memory})"

    return table_panel(
        PanelText(
            TOKENS,
            "HSM tokens",
            "How full is each token? Operations in progress over all instances, and the free memory for objects, if "
            "the token gives it.",
            "Operations stay in progress while none ends: the HSM does not answer. No free memory: remove old keys.",
            _NO_HSM,
        ),
        keys,
        (
            Column("In progress", total(series(TRUST_PKCS11_OPERATION_ACTIVE), *keys), decimals=0),
            Column("Free private memory", free("private"), "bytes"),
            Column("Free public memory", free("public"), "bytes"),
        ),
        key_widths=SERVICE_WIDTH,
        width=16,
    )


def hsm_slots() -> timeseries.Panel:
    """Slots with and without a token."""
    by = "by (service_name, trust_pkcs11_slot_state)"

    def slots(state: str) -> str:
        return series(TRUST_PKCS11_SLOT_COUNT, f'trust_pkcs11_slot_state="{state}"')

    return time_series_panel(
        PanelText(
            SLOTS,
            "HSM slots",
            "Are all tokens present? Slots of the PKCS#11 module with a token, in the instance that sees the fewest, "
            "and empty ones, in the instance that sees the most.",
            "A token is gone: check the device and the partition that the client may see.",
            _NO_HSM,
        ),
        "short",
        (
            Query(
                "{{service_name}}: token",
                f"min {by} ({slots('token')})",
            ),
            Query(
                "{{service_name}}: empty",
                f"max {by} ({slots('empty')})",
                dashed=True,
            ),
        ),
        width=8,
    )
