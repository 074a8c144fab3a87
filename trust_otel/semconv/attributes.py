"""Attributes of the registry. Generated from registry/*.yaml by `make generate`; edit the registry, not this file."""

from typing import Final

from trust_otel.semconv.definitions import Attribute

CLIENT_ADDRESS: Final = Attribute(
    name="client.address",
    type="string",
    brief="Address of a client, in metrics only of one whose failures reached the threshold.",
    limit=1000,
    examples=("203.0.113.7", ),
)
CPYTHON_GC_GENERATION: Final = Attribute(
    name="cpython.gc.generation",
    type="int",
    brief="Generation of the garbage collector.",
    members=(0, 1, 2, ),
)
DB_CLIENT_CONNECTION_POOL_NAME: Final = Attribute(
    name="db.client.connection.pool.name",
    type="string",
    brief="Name of the pool; by default, the system and the database.",
    limit=50,
    examples=("postgresql/trust", ),
)
DB_CLIENT_CONNECTION_STATE: Final = Attribute(
    name="db.client.connection.state",
    type="string",
    brief="State of a connection in the pool.",
    members=("idle", "used", ),
)
DB_NAMESPACE: Final = Attribute(
    name="db.namespace",
    type="string",
    brief="Name of the database, never its address or user.",
    limit=50,
    examples=("trust", ),
)
DB_OPERATION_NAME: Final = Attribute(
    name="db.operation.name",
    type="string",
    brief="First keyword of the statement; the statement itself is never recorded.",
    members=("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "CALL", "COPY", "CREATE", "ALTER", "DROP", "TRUNCATE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW", "PRAGMA", "EXPLAIN", "LOCK", "VACUUM", "ANALYZE", ),
    other="_OTHER",
)
DB_SYSTEM_NAME: Final = Attribute(
    name="db.system.name",
    type="string",
    brief="Database system.",
    other="other_sql",
    limit=20,
    examples=("postgresql", "sqlite", ),
)
ERROR_TYPE: Final = Attribute(
    name="error.type",
    type="string",
    brief="Class of the exception, the status code if there was none, or the reason that the service gave.",
    other="_OTHER",
    examples=("sqlalchemy.exc.IntegrityError", "500", "expired", ),
)
GEO_COUNTRY_ISO_CODE: Final = Attribute(
    name="geo.country.iso_code",
    type="string",
    brief="Country, as an ISO 3166-1 code of two letters.",
    pattern="[A-Z]{2}",
    limit=260,
    examples=("DE", "FR", ),
)
HTTP_REQUEST_METHOD: Final = Attribute(
    name="http.request.method",
    type="string",
    brief="Request method; an unknown one is `_OTHER`.",
    members=("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE", ),
    other="_OTHER",
)
HTTP_RESPONSE_STATUS_CODE: Final = Attribute(
    name="http.response.status_code",
    type="int",
    brief="Status code of the response.",
    pattern="[1-5][0-9][0-9]",
    limit=500,
    examples=(200, 404, ),
)
HTTP_ROUTE: Final = Attribute(
    name="http.route",
    type="string",
    brief="Template of the matched route, including mounts; absent if no route matched.",
    limit=500,
    examples=("/documents/{document_id}", "/admin/accounts", ),
)
METRIC: Final = Attribute(
    name="metric",
    type="string",
    brief="Name of the metric with the overflow.",
    limit=200,
    examples=("http.server.request.duration", ),
)
NETWORK_PROTOCOL_VERSION: Final = Attribute(
    name="network.protocol.version",
    type="string",
    brief="Version of HTTP.",
    members=("1.0", "1.1", "2", "3", ),
)
REASON: Final = Attribute(
    name="reason",
    type="string",
    brief="Why a measurement or an attribute of it was dropped.",
    members=("invalid_value", "negative_value", "unknown_metric", "unknown_attribute", "unknown_value", "attribute_type", "attribute_encoding", "attribute_length", "private_value", "unreadable_source", "event_limit", "rejected", "internal_error", ),
)
RPC_METHOD: Final = Attribute(
    name="rpc.method",
    type="string",
    brief="Full name of the method; `_OTHER` if the server does not have it.",
    other="_OTHER",
    limit=500,
    examples=("trust.v1.TrustService/Validate", ),
)
RPC_RESPONSE_STATUS_CODE: Final = Attribute(
    name="rpc.response.status_code",
    type="string",
    brief="Status code of gRPC.",
    members=("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED", ),
    other="_OTHER",
)
RPC_SYSTEM_NAME: Final = Attribute(
    name="rpc.system.name",
    type="string",
    brief="RPC system.",
    members=("grpc", ),
    other="_OTHER",
)
SERVER_ADDRESS: Final = Attribute(
    name="server.address",
    type="string",
    brief="Host that an HTTP client sends its request to.",
    limit=50,
    examples=("vault.example.com", ),
)
SERVER_PORT: Final = Attribute(
    name="server.port",
    type="int",
    brief="Port that an HTTP client sends its request to.",
    limit=50,
    examples=(443, 8200, ),
)
TASK: Final = Attribute(
    name="task",
    type="string",
    brief="Name of the Celery task.",
    limit=200,
    examples=("documents.sign", ),
)
TRUST_ACME_CHALLENGE_STATUS: Final = Attribute(
    name="trust.acme.challenge.status",
    type="string",
    brief="Result of the validation of a challenge (RFC 8555, 7.1.6).",
    members=("valid", "invalid", ),
)
TRUST_ACME_CHALLENGE_TYPE: Final = Attribute(
    name="trust.acme.challenge.type",
    type="string",
    brief="Type of a challenge (RFC 8555, 8, and RFC 8737).",
    members=("http-01", "dns-01", "tls-alpn-01", ),
)
TRUST_ACME_ERROR_TYPE: Final = Attribute(
    name="trust.acme.error.type",
    type="string",
    brief="Type of a problem, without `urn:ietf:params:acme:error:` (RFC 8555, 6.7).",
    members=("accountDoesNotExist", "alreadyRevoked", "badCSR", "badNonce", "badPublicKey", "badRevocationReason", "badSignatureAlgorithm", "caa", "compound", "connection", "dns", "externalAccountRequired", "incorrectResponse", "invalidContact", "malformed", "orderNotReady", "rateLimited", "rejectedIdentifier", "serverInternal", "tls", "unauthorized", "unsupportedContact", "unsupportedIdentifier", "userActionRequired", ),
)
TRUST_ACME_ORDER_STATUS: Final = Attribute(
    name="trust.acme.order.status",
    type="string",
    brief="Status of an order (RFC 8555, 7.1.6).",
    members=("pending", "ready", "processing", "valid", "invalid", ),
)
TRUST_AUDIT_ACTION: Final = Attribute(
    name="trust.audit.action",
    type="string",
    brief="Privileged action in the audit log.",
    examples=("certificate.issue", ),
)
TRUST_AUTH_METHOD: Final = Attribute(
    name="trust.auth.method",
    type="string",
    brief="Authentication method.",
    limit=20,
    examples=("password", "certificate", "token", ),
)
TRUST_AUTH_MFA_METHOD: Final = Attribute(
    name="trust.auth.mfa.method",
    type="string",
    brief="Second factor.",
    limit=20,
    examples=("totp", "push", "webauthn", ),
)
TRUST_AUTHZ_DECISION: Final = Attribute(
    name="trust.authz.decision",
    type="string",
    brief="Authorization decision.",
    members=("grant", "deny", ),
)
TRUST_AUTHZ_RESOURCE_TYPE: Final = Attribute(
    name="trust.authz.resource.type",
    type="string",
    brief="Type of resource that the decision is about.",
    limit=50,
    examples=("certificate", "document", ),
)
TRUST_CERTIFICATE_CHAIN_POSITION: Final = Attribute(
    name="trust.certificate.chain.position",
    type="string",
    brief="Position of a certificate in its chain, from its basic constraints and its names.",
    members=("root", "intermediate", "end_entity", ),
)
TRUST_CERTIFICATE_CRL_NAME: Final = Attribute(
    name="trust.certificate.crl.name",
    type="string",
    brief="Name of a certificate revocation list, from its file or address.",
    examples=("issuing-ca", ),
)
TRUST_CERTIFICATE_KIND: Final = Attribute(
    name="trust.certificate.kind",
    type="string",
    brief="Kind of a certificate, from its basic constraints and its key usage.",
    members=("root", "issuing_ca", "csca", "signer", "tls", "ocsp_responder", "tsa", ),
)
TRUST_CERTIFICATE_NAME: Final = Attribute(
    name="trust.certificate.name",
    type="string",
    brief="Name of a certificate of the service, never the subject of a person.",
    limit=500,
    examples=("issuing-ca", "grpc-server", ),
)
TRUST_CERTIFICATE_OCSP_RESPONDER: Final = Attribute(
    name="trust.certificate.ocsp.responder",
    type="string",
    brief="Name of an OCSP responder, from its address.",
    limit=20,
    examples=("ocsp.example.com", ),
)
TRUST_CERTIFICATE_OCSP_STATUS: Final = Attribute(
    name="trust.certificate.ocsp.status",
    type="string",
    brief="Certificate status in the response of an OCSP responder.",
    members=("good", "revoked", "unknown", "error", ),
)
TRUST_CERTIFICATE_OPERATION: Final = Attribute(
    name="trust.certificate.operation",
    type="string",
    brief="Operation on a certificate or its key.",
    members=("validation", "signing", "issuance", "renewal", "revocation", "suspension", "unsuspension", "key_generation", "timestamp", "ocsp_response", "crl_publication", ),
)
TRUST_CERTIFICATE_PROFILE: Final = Attribute(
    name="trust.certificate.profile",
    type="string",
    brief="Certificate profile in TRUST_OTEL_CERTIFICATE_PROFILES; any other is `_other`.",
    examples=("qcp-n-qscd", "tls-ov", ),
)
TRUST_CERTIFICATE_REVOCATION_CHANNEL: Final = Attribute(
    name="trust.certificate.revocation.channel",
    type="string",
    brief="Where relying parties can see a revocation.",
    members=("crl", "ocsp", ),
)
TRUST_CERTIFICATE_REVOCATION_PENDING: Final = Attribute(
    name="trust.certificate.revocation.pending",
    type="string",
    brief="What a revocation waits for.",
    members=("decision", "crl", "ocsp", ),
)
TRUST_CERTIFICATE_REVOCATION_REASON: Final = Attribute(
    name="trust.certificate.revocation.reason",
    type="string",
    brief="Reason code of a revocation (RFC 5280, 5.3.1).",
    members=("unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation", "certificateHold", "removeFromCRL", "privilegeWithdrawn", "aACompromise", ),
)
TRUST_CERTIFICATE_STATUS: Final = Attribute(
    name="trust.certificate.status",
    type="string",
    brief="State of a certificate in the inventory.",
    members=("valid", "expiring", "expired", "revoked", ),
)
TRUST_CERTIFICATE_TYPE: Final = Attribute(
    name="trust.certificate.type",
    type="string",
    brief="Type of certificate, as the service names it.",
    limit=50,
    examples=("DSC", "tls_server", ),
)
TRUST_CLIENT_NAME: Final = Attribute(
    name="trust.client.name",
    type="string",
    brief="Name of a client in TRUST_OTEL_CLIENT_NAMES; any other is `_other`.",
    limit=200,
    examples=("acme", ),
)
TRUST_CLOCK_SERVER: Final = Attribute(
    name="trust.clock.server",
    type="string",
    brief="Name of a time server in TRUST_OTEL_TIME_SERVERS.",
    limit=20,
    examples=("ntp.example.com", ),
)
TRUST_COMPLIANCE_CONTROL: Final = Attribute(
    name="trust.compliance.control",
    type="string",
    brief="Control of the framework that was checked.",
    limit=200,
    examples=("signature_policy", ),
)
TRUST_COMPLIANCE_FRAMEWORK: Final = Attribute(
    name="trust.compliance.framework",
    type="string",
    brief="Regulation or standard.",
    limit=20,
    examples=("eidas", "gdpr", ),
)
TRUST_CURRENCY: Final = Attribute(
    name="trust.currency",
    type="string",
    brief="Currency, as an ISO 4217 code of three letters.",
    pattern="[A-Z]{3}",
    limit=50,
    examples=("EUR", "USD", ),
)
TRUST_DB_TRANSACTION_OUTCOME: Final = Attribute(
    name="trust.db.transaction.outcome",
    type="string",
    brief="Outcome of a transaction.",
    members=("commit", "rollback", ),
)
TRUST_DEPENDENCY_NAME: Final = Attribute(
    name="trust.dependency.name",
    type="string",
    brief="Name of the dependency.",
    examples=("vault", ),
)
TRUST_DEPENDENCY_TYPE: Final = Attribute(
    name="trust.dependency.type",
    type="string",
    brief="Type of dependency.",
    members=("vault", "pki", "database", "cache", "http", "grpc", ),
)
TRUST_DOCUMENT_TYPE: Final = Attribute(
    name="trust.document.type",
    type="string",
    brief="Type of document; if TRUST_OTEL_DOCUMENT_TYPES lists types, any other is `_other`.",
    limit=50,
    examples=("passport", "diploma", ),
)
TRUST_EXECUTOR_NAME: Final = Attribute(
    name="trust.executor.name",
    type="string",
    brief="Name of the thread pool.",
    limit=20,
    examples=("anyio", ),
)
TRUST_EXECUTOR_STATE: Final = Attribute(
    name="trust.executor.state",
    type="string",
    brief="State of a worker thread, or the maximum number of them.",
    members=("active", "max", ),
)
TRUST_KEY_APPROVAL: Final = Attribute(
    name="trust.key.approval",
    type="string",
    brief="Result of a request for approval by M of N custodians.",
    members=("granted", "denied", "expired", ),
)
TRUST_KEY_NAME: Final = Attribute(
    name="trust.key.name",
    type="string",
    brief="Name of a key of the service, never the name of a person.",
    examples=("issuing-ca", "timestamping", ),
)
TRUST_KEY_USE: Final = Attribute(
    name="trust.key.use",
    type="string",
    brief="Whether a use of a key complies with its policy in TRUST_OTEL_KEY_POLICY_FILE.",
    members=("allowed", "outside_hours", "over_rate", ),
)
TRUST_KPI_NAME: Final = Attribute(
    name="trust.kpi.name",
    type="string",
    brief="Name of a key performance indicator (KPI) of the service, from TRUST_OTEL_BUSINESS_METRICS_FILE.",
    limit=50,
    examples=("contracts_signed", ),
)
TRUST_OTEL_SOURCE_KIND: Final = Attribute(
    name="trust.otel.source.kind",
    type="string",
    brief="Kind of the source, by its setting.",
    members=("certificates", "geoip", "reputation", "sla", "business_metrics", "clock", "key_policy", "ct_feed", "trust_lists", ),
)
TRUST_OTEL_SOURCE_NAME: Final = Attribute(
    name="trust.otel.source.name",
    type="string",
    brief="Name of the source: its file name, its URL without credentials, or its name in the setting.",
    limit=500,
    examples=("/etc/tls/*.pem", "blocklist", ),
)
TRUST_OUTCOME: Final = Attribute(
    name="trust.outcome",
    type="string",
    brief="Outcome of the operation.",
    members=("success", "failure", "error", ),
)
TRUST_PKCS11_MECHANISM: Final = Attribute(
    name="trust.pkcs11.mechanism",
    type="string",
    brief="Name of the mechanism in PKCS#11.",
    limit=50,
    examples=("CKM_ECDSA", "CKM_SHA256_RSA_PKCS_PSS", ),
)
TRUST_PKCS11_MEMORY_TYPE: Final = Attribute(
    name="trust.pkcs11.memory.type",
    type="string",
    brief="Memory of a token.",
    members=("public", "private", ),
)
TRUST_PKCS11_OPERATION: Final = Attribute(
    name="trust.pkcs11.operation",
    type="string",
    brief="Operation of a token.",
    members=("sign", "verify", "encrypt", "decrypt", "digest", "wrap", "unwrap", "derive", "encapsulate", "decapsulate", "generate_key", "generate_key_pair", "generate_random", "find_objects", "open_session", ),
)
TRUST_PKCS11_SLOT_STATE: Final = Attribute(
    name="trust.pkcs11.slot.state",
    type="string",
    brief="Whether a token is in the slot.",
    members=("token", "empty", ),
)
TRUST_PKCS11_TOKEN_LABEL: Final = Attribute(
    name="trust.pkcs11.token.label",
    type="string",
    brief="Label of the token.",
    limit=20,
    examples=("issuing-ca", ),
)
TRUST_RATE_LIMIT_NAME: Final = Attribute(
    name="trust.rate_limit.name",
    type="string",
    brief="Name of the rate limit.",
    limit=200,
    examples=("login", ),
)
TRUST_RPC_MESSAGE_DIRECTION: Final = Attribute(
    name="trust.rpc.message.direction",
    type="string",
    brief="Direction of a message, from the side that counts it.",
    members=("received", "sent", ),
)
TRUST_RPC_TYPE: Final = Attribute(
    name="trust.rpc.type",
    type="string",
    brief="Type of the call, by which sides stream.",
    members=("unary", "client_stream", "server_stream", "bidi_stream", ),
    other="_OTHER",
)
TRUST_SECURITY_INCIDENT_TYPE: Final = Attribute(
    name="trust.security.incident.type",
    type="string",
    brief="Type of suspicious activity.",
    limit=50,
    examples=("credential_stuffing", "impossible_travel", ),
)
TRUST_SEVERITY: Final = Attribute(
    name="trust.severity",
    type="string",
    brief="Severity, as in alerts.",
    members=("critical", "warning", "info", ),
)
TRUST_SLA_NAME: Final = Attribute(
    name="trust.sla.name",
    type="string",
    brief="Name of the service level agreement (SLA), from TRUST_OTEL_SLA_FILE or the service.",
    limit=50,
    examples=("document_processing", ),
)
TRUST_THREAT_FEED: Final = Attribute(
    name="trust.threat.feed",
    type="string",
    brief="Name of the reputation feed that matched.",
    limit=50,
    examples=("blocklist", ),
)
TRUST_TIMESTAMP_FAILURE: Final = Attribute(
    name="trust.timestamp.failure",
    type="string",
    brief="Reason of a refusal (PKIFailureInfo in RFC 3161, 2.4.2).",
    members=("badAlg", "badRequest", "badDataFormat", "timeNotAvailable", "unacceptedPolicy", "unacceptedExtension", "addInfoNotAvailable", "systemFailure", ),
)
TRUST_TIMESTAMP_STATUS: Final = Attribute(
    name="trust.timestamp.status",
    type="string",
    brief="Status of a response (PKIStatus in RFC 3161, 2.4.2).",
    members=("granted", "grantedWithMods", "rejection", "waiting", "revocationWarning", "revocationNotification", ),
)
TRUST_TRUST_LIST_NAME: Final = Attribute(
    name="trust.trust_list.name",
    type="string",
    brief="Name of a list in TRUST_OTEL_TRUST_LISTS.",
    limit=20,
    examples=("eu-lotl", ),
)
TRUST_TRUST_LIST_SIGNATURE_STATUS: Final = Attribute(
    name="trust.trust_list.signature.status",
    type="string",
    brief="Result of the verification of the signature of a list.",
    members=("valid", "invalid", "not_verified", ),
)
TRUST_TRUST_LIST_TYPE: Final = Attribute(
    name="trust.trust_list.type",
    type="string",
    brief="Type of a list of trust anchors.",
    members=("etsi", "icao", "vical", ),
)
TRUST_VALIDATION_INDICATION: Final = Attribute(
    name="trust.validation.indication",
    type="string",
    brief="Result of a validation (ETSI EN 319 102-1, 5.1.3).",
    members=("TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE", ),
)
TRUST_VALIDATION_SUB_INDICATION: Final = Attribute(
    name="trust.validation.sub_indication",
    type="string",
    brief="Reason of a result other than TOTAL-PASSED (ETSI EN 319 102-1, 5.1.3).",
    members=("FORMAT_FAILURE", "HASH_FAILURE", "SIG_CRYPTO_FAILURE", "REVOKED", "EXPIRED", "NOT_YET_VALID", "SIG_CONSTRAINTS_FAILURE", "CHAIN_CONSTRAINTS_FAILURE", "CERTIFICATE_CHAIN_GENERAL_FAILURE", "CRYPTO_CONSTRAINTS_FAILURE", "POLICY_PROCESSING_ERROR", "SIGNATURE_POLICY_NOT_AVAILABLE", "TIMESTAMP_ORDER_FAILURE", "NO_SIGNING_CERTIFICATE_FOUND", "NO_CERTIFICATE_CHAIN_FOUND", "REVOKED_NO_POE", "REVOKED_CA_NO_POE", "OUT_OF_BOUNDS_NOT_REVOKED", "OUT_OF_BOUNDS_NO_POE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "NO_POE", "TRY_LATER", "SIGNED_DATA_NOT_FOUND", ),
)
TYPE: Final = Attribute(
    name="type",
    type="string",
    brief="Mode of CPU time, as in the system-metrics instrumentation.",
    members=("user", "system", ),
)
URL_SCHEME: Final = Attribute(
    name="url.scheme",
    type="string",
    brief="Scheme of the request.",
    members=("http", "https", ),
)
