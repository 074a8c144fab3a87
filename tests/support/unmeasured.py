"""What the example service does not measure."""

from typing import Final

from trust_otel.semconv.metrics import (
    TRUST_ACME_CHALLENGES,
    TRUST_ACME_ORDERS,
    TRUST_CT_SCTS,
    TRUST_CT_UNKNOWN_CERTIFICATES,
    TRUST_KEY_APPROVALS,
    TRUST_PKCS11_SESSION_MAX,
    TRUST_PKCS11_TOKEN_MEMORY_FREE,
    TRUST_SESSION_STORED,
)

NOT_OF_THE_EXAMPLE: Final = (
    # A service either counts its sessions, as this one does, or reports those in its store.
    TRUST_SESSION_STORED,
    # Its CA is neither an ACME server nor in a log of certificate transparency, and one person may create a key.
    TRUST_ACME_CHALLENGES,
    TRUST_ACME_ORDERS,
    TRUST_CT_SCTS,
    TRUST_CT_UNKNOWN_CERTIFICATES,
    TRUST_KEY_APPROVALS,
    # SoftHSM limits neither sessions nor memory.
    TRUST_PKCS11_SESSION_MAX,
    TRUST_PKCS11_TOKEN_MEMORY_FREE,
)
