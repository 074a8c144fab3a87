"""Hardware security modules, and the use of keys."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, number, ratio, seconds
from monitoring.alerts.events import events
from trust_otel.semconv.metrics import TRUST_KEY_USES, TRUST_PKCS11_OPERATION_DURATION

HSM_ERRORS = Alert(
    name="TrustHsmErrors",
    reason="""
        Fires at the first error, because an HSM that refuses its work is never normal. Return values that are about
        the data of a caller do not count; TrustHsmSessionsExhausted has CKR_SESSION_COUNT.
    """,
    expression=events(
        TRUST_PKCS11_OPERATION_DURATION,
        "5m",
        ("trust_pkcs11_token_label", "error_type"),
        'error_type=~"CKR_.+|pkcs11.exceptions.PKCS11Error",'
        ' error_type!~"CKR_(ARGUMENTS_BAD|DATA_.+|ENCRYPTED_DATA_.+|SESSION_COUNT|SIGNATURE_.+|WRAPPED_KEY_.+)"',
    )
    + " > 0",
    keep_firing="5m",
    severity="critical",
    team="platform",
    category="dependency",
    panel=Panel("pki", 32),
    summary="HSM {{ $labels.trust_pkcs11_token_label }} of {{ $labels.service_name }} returns {{ $labels.error_type }}.",
    description="""
        {{ $value | printf "%.0f" }} operations of token {{ $labels.trust_pkcs11_token_label }} failed with {{ $labels.error_type }} within 5 minutes.
    """,
)

HSM_SLOW = Alert(
    name="TrustHsmSlow",
    reason="""
        Only operations for which a caller waits: key generation and searches may take seconds. 1 s is a bucket boundary of the
        histogram. At least three operations slower than 0.5 s, because one among a few is chance.
    """,
    expression="""
        histogram_quantile(0.95, sum by (deployment_environment_name, service_namespace, service_name, trust_pkcs11_token_label, le) (
          rate(trust_pkcs11_operation_duration_seconds_bucket{trust_pkcs11_operation=~"sign|decrypt|unwrap|derive"}[5m])
        )) > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name, trust_pkcs11_token_label) (
          increase(trust_pkcs11_operation_duration_seconds_count{trust_pkcs11_operation=~"sign|decrypt|unwrap|derive"}[5m])
        )
        - sum by (deployment_environment_name, service_namespace, service_name, trust_pkcs11_token_label) (
          increase(trust_pkcs11_operation_duration_seconds_bucket{trust_pkcs11_operation=~"sign|decrypt|unwrap|derive", le="0.5"}[5m])
        ) >= $minimum
    """,
    threshold=seconds(1, below=10),
    minimum=number(3),
    wait="2m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="dependency",
    panel=Panel("pki", 31),
    summary="HSM {{ $labels.trust_pkcs11_token_label }} of {{ $labels.service_name }} is slow.",
    description="""
        The p95 duration of operations of token {{ $labels.trust_pkcs11_token_label }} is {{ $value | humanizeDuration }} (threshold $threshold).
    """,
)

HSM_SESSIONS_EXHAUSTED = (
    Alert(
        name="TrustHsmSessionsExhausted",
        reason="""
            CKR_SESSION_COUNT: the HSM opens no more sessions. Fires at the first one, because its caller cannot sign.
        """,
        expression=events(
            TRUST_PKCS11_OPERATION_DURATION,
            "5m",
            ("trust_pkcs11_token_label",),
            'error_type="CKR_SESSION_COUNT"',
        )
        + " > 0",
        keep_firing="5m",
        severity="critical",
        team="platform",
        category="dependency",
        panel=Panel("pki", 32),
        summary="HSM {{ $labels.trust_pkcs11_token_label }} opens no more sessions for {{ $labels.service_name }}.",
        description="""
            {{ $value | printf "%.0f" }} sessions with token {{ $labels.trust_pkcs11_token_label }} were refused within 5 minutes.
        """,
    ),
    Alert(
        name="TrustHsmSessionsExhausted",
        reason="""
            The fullest instance counts, because the limit is for each process. Tokens that give no limit are left to the
            critical alert.
        """,
        expression="""
            max by (deployment_environment_name, service_namespace, service_name, trust_pkcs11_token_label) (
              trust_pkcs11_session_count / (trust_pkcs11_session_max > 0)
            ) > $threshold
        """,
        threshold=ratio(0.9),
        wait="2m",
        keep_firing="2m",
        severity="warning",
        team="platform",
        category="dependency",
        panel=Panel("pki", 33),
        summary="An instance of {{ $labels.service_name }} has nearly all sessions with HSM {{ $labels.trust_pkcs11_token_label }} open.",
        description="""
            {{ $value | humanizePercentage }} of the sessions with token {{ $labels.trust_pkcs11_token_label }} are open (threshold $threshold).
        """,
    ),
)

KEY_USED_OUTSIDE_POLICY = Alert(
    name="TrustKeyUsedOutsidePolicy",
    reason="""
        Fires at the first use, because every use of such a key is planned.
    """,
    expression=events(TRUST_KEY_USES, "5m", ("trust_key_name", "trust_key_use"), 'trust_key_use!="allowed"') + " > 0",
    keep_firing="5m",
    severity="critical",
    team="security",
    category="security",
    panel=Panel("pki", 34),
    summary="Key {{ $labels.trust_key_name }} of {{ $labels.service_name }} was used against its policy ({{ $labels.trust_key_use }}).",
    description="""
        {{ $value | printf "%.0f" }} uses of key {{ $labels.trust_key_name }} within 5 minutes are {{ $labels.trust_key_use }}.
    """,
)

GROUP = Group(
    "trust-service.keys",
    (
        HSM_ERRORS,
        HSM_SLOW,
        *HSM_SESSIONS_EXHAUSTED,
        KEY_USED_OUTSIDE_POLICY,
    ),
)
