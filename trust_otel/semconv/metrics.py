"""Metrics of the registry. Generated from registry/*.yaml by `make generate`; edit the registry, not this file."""

from collections.abc import Mapping
from typing import Final

from trust_otel.semconv import attributes
from trust_otel.semconv.definitions import Metric

CPYTHON_GC_COLLECTIONS: Final = Metric(
    name="cpython.gc.collections",
    instrument="counter",
    unit="{collection}",
    brief="Runs of the garbage collector.",
    attributes=(attributes.CPYTHON_GC_GENERATION, ),
    required=frozenset(("cpython.gc.generation", )),
)
DB_CLIENT_CONNECTION_COUNT: Final = Metric(
    name="db.client.connection.count",
    instrument="updowncounter",
    unit="{connection}",
    brief="Connections of the pool, by state.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, attributes.DB_CLIENT_CONNECTION_STATE, ),
    required=frozenset(("db.client.connection.pool.name", "db.client.connection.state", )),
)
DB_CLIENT_CONNECTION_CREATE_TIME: Final = Metric(
    name="db.client.connection.create_time",
    instrument="histogram",
    unit="s",
    brief="Time to open a connection; with error.type if it failed.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, attributes.ERROR_TYPE, ),
    required=frozenset(("db.client.connection.pool.name", )),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, ),
)
DB_CLIENT_CONNECTION_IDLE_MAX: Final = Metric(
    name="db.client.connection.idle.max",
    instrument="updowncounter",
    unit="{connection}",
    brief="Maximum number of idle connections of the pool.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, ),
    required=frozenset(("db.client.connection.pool.name", )),
)
DB_CLIENT_CONNECTION_MAX: Final = Metric(
    name="db.client.connection.max",
    instrument="updowncounter",
    unit="{connection}",
    brief="Maximum number of connections of the pool; absent if it has no limit.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, ),
    required=frozenset(("db.client.connection.pool.name", )),
)
DB_CLIENT_CONNECTION_PENDING_REQUESTS: Final = Metric(
    name="db.client.connection.pending_requests",
    instrument="updowncounter",
    unit="{request}",
    brief="Requests that are waiting for a connection.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, ),
    required=frozenset(("db.client.connection.pool.name", )),
)
DB_CLIENT_CONNECTION_TIMEOUTS: Final = Metric(
    name="db.client.connection.timeouts",
    instrument="counter",
    unit="{timeout}",
    brief="Requests for a connection that timed out.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, ),
    required=frozenset(("db.client.connection.pool.name", )),
)
DB_CLIENT_CONNECTION_USE_TIME: Final = Metric(
    name="db.client.connection.use_time",
    instrument="histogram",
    unit="s",
    brief="Time between checking a connection out of the pool and returning it.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, ),
    required=frozenset(("db.client.connection.pool.name", )),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, ),
)
DB_CLIENT_CONNECTION_WAIT_TIME: Final = Metric(
    name="db.client.connection.wait_time",
    instrument="histogram",
    unit="s",
    brief="Time to get an open connection from the pool.",
    attributes=(attributes.DB_CLIENT_CONNECTION_POOL_NAME, ),
    required=frozenset(("db.client.connection.pool.name", )),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, ),
)
DB_CLIENT_OPERATION_DURATION: Final = Metric(
    name="db.client.operation.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of database client operations.",
    attributes=(attributes.DB_SYSTEM_NAME, attributes.DB_NAMESPACE, attributes.DB_OPERATION_NAME, attributes.ERROR_TYPE, ),
    required=frozenset(("db.operation.name", "db.system.name", )),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, ),
)
FLOWER_TASK_RUNTIME_SECONDS: Final = Metric(
    name="flower.task.runtime.seconds",
    instrument="histogram",
    unit="s",
    brief="Duration of Celery tasks.",
    attributes=(attributes.TASK, ),
    required=frozenset(("task", )),
    buckets=(0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, ),
    note="Recorded by opentelemetry-instrumentation-celery, where it is installed. Failed tasks count too.",
    third_party=True,
)
HTTP_CLIENT_REQUEST_DURATION: Final = Metric(
    name="http.client.request.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of HTTP client requests.",
    attributes=(attributes.HTTP_REQUEST_METHOD, attributes.SERVER_ADDRESS, attributes.SERVER_PORT, attributes.HTTP_RESPONSE_STATUS_CODE, attributes.NETWORK_PROTOCOL_VERSION, attributes.ERROR_TYPE, ),
    required=frozenset(("http.request.method", )),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, ),
    note="Recorded by OpenTelemetry's instrumentation of the HTTP client, where it is installed.",
    third_party=True,
)
HTTP_SERVER_ACTIVE_REQUESTS: Final = Metric(
    name="http.server.active_requests",
    instrument="updowncounter",
    unit="{request}",
    brief="Number of HTTP server requests being processed now.",
    attributes=(attributes.HTTP_REQUEST_METHOD, attributes.URL_SCHEME, ),
    required=frozenset(("http.request.method", "url.scheme", )),
)
HTTP_SERVER_REQUEST_BODY_SIZE: Final = Metric(
    name="http.server.request.body.size",
    instrument="histogram",
    unit="By",
    brief="Size of HTTP server request bodies.",
    attributes=(attributes.HTTP_REQUEST_METHOD, attributes.URL_SCHEME, attributes.HTTP_ROUTE, attributes.HTTP_RESPONSE_STATUS_CODE, attributes.NETWORK_PROTOCOL_VERSION, attributes.ERROR_TYPE, ),
    required=frozenset(("http.request.method", "url.scheme", )),
    buckets=(0.0, 100.0, 1000.0, 10000.0, 100000.0, 1000000.0, 10000000.0, 100000000.0, ),
    note="Recorded only with `TRUST_OTEL_HTTP_BODY_SIZES=true`.",
)
HTTP_SERVER_REQUEST_DURATION: Final = Metric(
    name="http.server.request.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of HTTP server requests.",
    attributes=(attributes.HTTP_REQUEST_METHOD, attributes.URL_SCHEME, attributes.HTTP_ROUTE, attributes.HTTP_RESPONSE_STATUS_CODE, attributes.NETWORK_PROTOCOL_VERSION, attributes.ERROR_TYPE, ),
    required=frozenset(("http.request.method", "url.scheme", )),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, ),
    note="The bucket boundaries are those that OpenTelemetry recommends, and 2 s for an alert's threshold.",
)
HTTP_SERVER_RESPONSE_BODY_SIZE: Final = Metric(
    name="http.server.response.body.size",
    instrument="histogram",
    unit="By",
    brief="Size of HTTP server response bodies.",
    attributes=(attributes.HTTP_REQUEST_METHOD, attributes.URL_SCHEME, attributes.HTTP_ROUTE, attributes.HTTP_RESPONSE_STATUS_CODE, attributes.NETWORK_PROTOCOL_VERSION, attributes.ERROR_TYPE, ),
    required=frozenset(("http.request.method", "url.scheme", )),
    buckets=(0.0, 100.0, 1000.0, 10000.0, 100000.0, 1000000.0, 10000000.0, 100000000.0, ),
    note="Recorded only with `TRUST_OTEL_HTTP_BODY_SIZES=true`.",
)
PROCESS_CPU_TIME: Final = Metric(
    name="process.cpu.time",
    instrument="counter",
    unit="s",
    brief="CPU time of the process.",
    attributes=(attributes.TYPE, ),
    required=frozenset(("type", )),
)
PROCESS_MEMORY_USAGE: Final = Metric(
    name="process.memory.usage",
    instrument="updowncounter",
    unit="By",
    brief="Physical memory of the process.",
)
PROCESS_OPEN_FILE_DESCRIPTOR_COUNT: Final = Metric(
    name="process.open_file_descriptor.count",
    instrument="updowncounter",
    unit="{file_descriptor}",
    brief="Open file descriptors of the process.",
)
PROCESS_THREAD_COUNT: Final = Metric(
    name="process.thread.count",
    instrument="updowncounter",
    unit="{thread}",
    brief="Threads of the process.",
)
PROCESS_UPTIME: Final = Metric(
    name="process.uptime",
    instrument="gauge",
    unit="s",
    brief="Seconds since the process began to count.",
)
RPC_CLIENT_CALL_DURATION: Final = Metric(
    name="rpc.client.call.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of RPC calls of the client.",
    attributes=(attributes.RPC_SYSTEM_NAME, attributes.RPC_METHOD, attributes.RPC_RESPONSE_STATUS_CODE, attributes.ERROR_TYPE, attributes.TRUST_RPC_TYPE, ),
    required=frozenset(("rpc.method", "rpc.system.name", "trust.rpc.type", )),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, ),
)
RPC_SERVER_CALL_DURATION: Final = Metric(
    name="rpc.server.call.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of RPC calls of the server.",
    attributes=(attributes.RPC_SYSTEM_NAME, attributes.RPC_METHOD, attributes.RPC_RESPONSE_STATUS_CODE, attributes.ERROR_TYPE, attributes.TRUST_RPC_TYPE, ),
    required=frozenset(("rpc.method", "rpc.system.name", "trust.rpc.type", )),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, ),
)
TRUST_ACME_CHALLENGES: Final = Metric(
    name="trust.acme.challenges",
    instrument="counter",
    unit="{challenge}",
    brief="ACME challenges that were validated.",
    attributes=(attributes.TRUST_ACME_CHALLENGE_TYPE, attributes.TRUST_ACME_CHALLENGE_STATUS, attributes.TRUST_ACME_ERROR_TYPE, ),
    required=frozenset(("trust.acme.challenge.status", "trust.acme.challenge.type", )),
)
TRUST_ACME_ORDERS: Final = Metric(
    name="trust.acme.orders",
    instrument="counter",
    unit="{order}",
    brief="ACME orders that reached a status.",
    attributes=(attributes.TRUST_ACME_ORDER_STATUS, attributes.TRUST_ACME_ERROR_TYPE, ),
    required=frozenset(("trust.acme.order.status", )),
)
TRUST_AUDIT_EVENTS: Final = Metric(
    name="trust.audit.events",
    instrument="counter",
    unit="{event}",
    brief="Records written to the audit log.",
    attributes=(attributes.TRUST_AUDIT_ACTION, attributes.TRUST_OUTCOME, ),
    required=frozenset(("trust.audit.action", "trust.outcome", )),
)
TRUST_AUDIT_OPERATIONS: Final = Metric(
    name="trust.audit.operations",
    instrument="counter",
    unit="{operation}",
    brief="Started privileged operations; those without an event in trust.audit.events were not written to the audit log.",
    attributes=(attributes.TRUST_AUDIT_ACTION, ),
    required=frozenset(("trust.audit.action", )),
)
TRUST_AUTH_ATTEMPTS: Final = Metric(
    name="trust.auth.attempts",
    instrument="counter",
    unit="{attempt}",
    brief="Authentication attempts.",
    attributes=(attributes.TRUST_AUTH_METHOD, attributes.TRUST_OUTCOME, attributes.GEO_COUNTRY_ISO_CODE, ),
    required=frozenset(("trust.auth.method", "trust.outcome", )),
)
TRUST_AUTH_MFA_CHALLENGES: Final = Metric(
    name="trust.auth.mfa.challenges",
    instrument="counter",
    unit="{challenge}",
    brief="Challenges for a second factor.",
    attributes=(attributes.TRUST_AUTH_MFA_METHOD, attributes.TRUST_OUTCOME, ),
    required=frozenset(("trust.auth.mfa.method", "trust.outcome", )),
)
TRUST_AUTHZ_DECISIONS: Final = Metric(
    name="trust.authz.decisions",
    instrument="counter",
    unit="{decision}",
    brief="Authorization decisions.",
    attributes=(attributes.TRUST_AUTHZ_DECISION, attributes.TRUST_AUTHZ_RESOURCE_TYPE, ),
    required=frozenset(("trust.authz.decision", )),
)
TRUST_CERTIFICATE_CRL_NEXT_UPDATE: Final = Metric(
    name="trust.certificate.crl.next_update",
    instrument="gauge",
    unit="s",
    brief="Time of the next update of a certificate revocation list, as Unix time (RFC 5280, 5.1.2.5).",
    attributes=(attributes.TRUST_CERTIFICATE_CRL_NAME, ),
    required=frozenset(("trust.certificate.crl.name", )),
)
TRUST_CERTIFICATE_CRL_NUMBER: Final = Metric(
    name="trust.certificate.crl.number",
    instrument="gauge",
    unit="{number}",
    brief="Number of a certificate revocation list (RFC 5280, 5.2.3); absent if it has none.",
    attributes=(attributes.TRUST_CERTIFICATE_CRL_NAME, ),
    required=frozenset(("trust.certificate.crl.name", )),
)
TRUST_CERTIFICATE_CRL_SIZE: Final = Metric(
    name="trust.certificate.crl.size",
    instrument="gauge",
    unit="By",
    brief="Size of a certificate revocation list in DER.",
    attributes=(attributes.TRUST_CERTIFICATE_CRL_NAME, ),
    required=frozenset(("trust.certificate.crl.name", )),
)
TRUST_CERTIFICATE_CRL_THIS_UPDATE: Final = Metric(
    name="trust.certificate.crl.this_update",
    instrument="gauge",
    unit="s",
    brief="Time at which a certificate revocation list was issued, as Unix time (RFC 5280, 5.1.2.4).",
    attributes=(attributes.TRUST_CERTIFICATE_CRL_NAME, ),
    required=frozenset(("trust.certificate.crl.name", )),
)
TRUST_CERTIFICATE_INVENTORY: Final = Metric(
    name="trust.certificate.inventory",
    instrument="gauge",
    unit="{certificate}",
    brief="Monitored certificates, by status.",
    attributes=(attributes.TRUST_CERTIFICATE_STATUS, ),
    required=frozenset(("trust.certificate.status", )),
)
TRUST_CERTIFICATE_LEAD_TIME: Final = Metric(
    name="trust.certificate.lead_time",
    instrument="gauge",
    unit="s",
    brief="Time before the end of the certificate's validity at which its renewal is due.",
    attributes=(attributes.TRUST_CERTIFICATE_NAME, attributes.TRUST_CERTIFICATE_TYPE, attributes.TRUST_CERTIFICATE_KIND, attributes.TRUST_CERTIFICATE_CHAIN_POSITION, ),
    required=frozenset(("trust.certificate.name", )),
    note="By kind, from `TRUST_OTEL_CERTIFICATE_LEAD_DAYS`, and at most a third of the lifetime.",
)
TRUST_CERTIFICATE_NOT_AFTER: Final = Metric(
    name="trust.certificate.not_after",
    instrument="gauge",
    unit="s",
    brief="End of the certificate's validity, as Unix time.",
    attributes=(attributes.TRUST_CERTIFICATE_NAME, attributes.TRUST_CERTIFICATE_TYPE, ),
    required=frozenset(("trust.certificate.name", )),
)
TRUST_CERTIFICATE_NOT_BEFORE: Final = Metric(
    name="trust.certificate.not_before",
    instrument="gauge",
    unit="s",
    brief="Start of the certificate's validity, as Unix time; with not_after, it gives the remaining ratio of the lifetime.",
    attributes=(attributes.TRUST_CERTIFICATE_NAME, attributes.TRUST_CERTIFICATE_TYPE, ),
    required=frozenset(("trust.certificate.name", )),
)
TRUST_CERTIFICATE_OCSP_NEXT_UPDATE: Final = Metric(
    name="trust.certificate.ocsp.next_update",
    instrument="gauge",
    unit="s",
    brief="Earliest nextUpdate in the last verified responses of an OCSP responder, as Unix time; absent if it gives none.",
    attributes=(attributes.TRUST_CERTIFICATE_OCSP_RESPONDER, ),
    required=frozenset(("trust.certificate.ocsp.responder", )),
)
TRUST_CERTIFICATE_OCSP_REQUEST_DURATION: Final = Metric(
    name="trust.certificate.ocsp.request.duration",
    instrument="histogram",
    unit="s",
    brief="Time until an OCSP responder's response about a monitored certificate was received and verified.",
    attributes=(attributes.TRUST_CERTIFICATE_OCSP_RESPONDER, attributes.TRUST_CERTIFICATE_OCSP_STATUS, ),
    required=frozenset(("trust.certificate.ocsp.responder", "trust.certificate.ocsp.status", )),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, ),
    note="Measured where a relying party is, by the monitor of TRUST_OTEL_CERTIFICATES.",
)
TRUST_CERTIFICATE_OCSP_RESPONSES: Final = Metric(
    name="trust.certificate.ocsp.responses",
    instrument="counter",
    unit="{response}",
    brief="Responses of an OCSP responder about the monitored certificates (RFC 6960).",
    attributes=(attributes.TRUST_CERTIFICATE_OCSP_RESPONDER, attributes.TRUST_CERTIFICATE_OCSP_STATUS, ),
    required=frozenset(("trust.certificate.ocsp.responder", "trust.certificate.ocsp.status", )),
)
TRUST_CERTIFICATE_OCSP_THIS_UPDATE: Final = Metric(
    name="trust.certificate.ocsp.this_update",
    instrument="gauge",
    unit="s",
    brief="Oldest thisUpdate in the last verified responses of an OCSP responder, as Unix time (RFC 6960, 4.2.2.1).",
    attributes=(attributes.TRUST_CERTIFICATE_OCSP_RESPONDER, ),
    required=frozenset(("trust.certificate.ocsp.responder", )),
)
TRUST_CERTIFICATE_OPERATION_ACTIVE: Final = Metric(
    name="trust.certificate.operation.active",
    instrument="updowncounter",
    unit="{operation}",
    brief="Certificate operations in progress.",
    attributes=(attributes.TRUST_CERTIFICATE_OPERATION, ),
    required=frozenset(("trust.certificate.operation", )),
)
TRUST_CERTIFICATE_OPERATION_DURATION: Final = Metric(
    name="trust.certificate.operation.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of certificate operations.",
    attributes=(attributes.TRUST_CERTIFICATE_OPERATION, attributes.TRUST_CERTIFICATE_TYPE, attributes.TRUST_CERTIFICATE_PROFILE, attributes.TRUST_OUTCOME, attributes.ERROR_TYPE, ),
    required=frozenset(("trust.certificate.operation", "trust.outcome", )),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, ),
)
TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION: Final = Metric(
    name="trust.certificate.revocation.decision.duration",
    instrument="histogram",
    unit="s",
    brief="Time from the request for a revocation, a suspension or its end to the decision.",
    attributes=(attributes.TRUST_CERTIFICATE_REVOCATION_REASON, ),
    buckets=(60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0, 64800.0, 86400.0, 172800.0, 604800.0, ),
    note="One of the bucket boundaries is 24 hours.",
)
TRUST_CERTIFICATE_REVOCATION_DURATION: Final = Metric(
    name="trust.certificate.revocation.duration",
    instrument="histogram",
    unit="s",
    brief="Time from the request for a revocation until relying parties can see it.",
    attributes=(attributes.TRUST_CERTIFICATE_REVOCATION_CHANNEL, attributes.TRUST_CERTIFICATE_REVOCATION_REASON, ),
    required=frozenset(("trust.certificate.revocation.channel", )),
    buckets=(60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0, 64800.0, 86400.0, 172800.0, 604800.0, ),
    note="One of the bucket boundaries is the 24 hours of EN 319 411-1.",
)
TRUST_CERTIFICATE_REVOCATION_PENDING_AGE: Final = Metric(
    name="trust.certificate.revocation.pending.age",
    instrument="gauge",
    unit="s",
    brief="Age of the oldest revocation that waits for its decision or its publication; 0 if none waits.",
    attributes=(attributes.TRUST_CERTIFICATE_REVOCATION_PENDING, ),
    required=frozenset(("trust.certificate.revocation.pending", )),
)
TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION: Final = Metric(
    name="trust.certificate.revocation.publication.duration",
    instrument="histogram",
    unit="s",
    brief="Time from the decision on a revocation until relying parties can see it.",
    attributes=(attributes.TRUST_CERTIFICATE_REVOCATION_CHANNEL, attributes.TRUST_CERTIFICATE_REVOCATION_REASON, ),
    required=frozenset(("trust.certificate.revocation.channel", )),
    buckets=(60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0, 64800.0, 86400.0, 172800.0, 604800.0, ),
    note="One of the bucket boundaries is the 60 minutes of EN 319 411-1.",
)
TRUST_CLIENT_REQUESTS: Final = Metric(
    name="trust.client.requests",
    instrument="counter",
    unit="{request}",
    brief="HTTP requests and gRPC calls by client; failure is a refusal, error a fault of the service.",
    attributes=(attributes.TRUST_CLIENT_NAME, attributes.TRUST_OUTCOME, ),
    required=frozenset(("trust.client.name", "trust.outcome", )),
)
TRUST_CLOCK_OFFSET: Final = Metric(
    name="trust.clock.offset",
    instrument="gauge",
    unit="s",
    brief="Time of a time server less that of the host, as SNTP measures it.",
    attributes=(attributes.TRUST_CLOCK_SERVER, ),
    required=frozenset(("trust.clock.server", )),
    note="Absent while the server gives no time. Its error is at most half of `trust.clock.round_trip`.",
)
TRUST_CLOCK_ROUND_TRIP: Final = Metric(
    name="trust.clock.round_trip",
    instrument="gauge",
    unit="s",
    brief="Time that the last request to a time server and its response took on the network.",
    attributes=(attributes.TRUST_CLOCK_SERVER, ),
    required=frozenset(("trust.clock.server", )),
)
TRUST_COMPLIANCE_CHECKS: Final = Metric(
    name="trust.compliance.checks",
    instrument="counter",
    unit="{check}",
    brief="Checks of a compliance control.",
    attributes=(attributes.TRUST_COMPLIANCE_FRAMEWORK, attributes.TRUST_COMPLIANCE_CONTROL, attributes.TRUST_OUTCOME, ),
    required=frozenset(("trust.compliance.control", "trust.compliance.framework", "trust.outcome", )),
)
TRUST_COST_AMOUNT: Final = Metric(
    name="trust.cost.amount",
    instrument="counter",
    unit="{currency}",
    brief="Costs of transactions, in units of the currency.",
    attributes=(attributes.TRUST_CURRENCY, attributes.GEO_COUNTRY_ISO_CODE, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.currency", )),
)
TRUST_CT_SCTS: Final = Metric(
    name="trust.ct.scts",
    instrument="histogram",
    unit="{timestamp}",
    brief="Signed certificate timestamps (SCTs) in an issued certificate (RFC 6962, 3.3).",
    attributes=(attributes.TRUST_CERTIFICATE_TYPE, attributes.TRUST_CERTIFICATE_PROFILE, ),
    buckets=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, ),
)
TRUST_CT_UNKNOWN_CERTIFICATES: Final = Metric(
    name="trust.ct.unknown_certificates",
    instrument="counter",
    unit="{certificate}",
    brief="Certificates in TRUST_OTEL_CT_FEED that the service did not issue.",
    note="Each process counts each of them once.",
)
TRUST_CUSTOMER_SATISFACTION: Final = Metric(
    name="trust.customer.satisfaction",
    instrument="histogram",
    unit="{score}",
    brief="Customer satisfaction scores, from 1 to 5.",
    buckets=(1.0, 2.0, 3.0, 4.0, 5.0, ),
)
TRUST_DB_CLIENT_SLOW_OPERATIONS: Final = Metric(
    name="trust.db.client.slow_operations",
    instrument="counter",
    unit="{operation}",
    brief="Operations that took longer than TRUST_OTEL_DB_SLOW_SECONDS.",
    attributes=(attributes.DB_SYSTEM_NAME, attributes.DB_NAMESPACE, attributes.DB_OPERATION_NAME, ),
    required=frozenset(("db.operation.name", "db.system.name", )),
)
TRUST_DB_CLIENT_TRANSACTIONS: Final = Metric(
    name="trust.db.client.transactions",
    instrument="counter",
    unit="{transaction}",
    brief="Finished transactions, by outcome.",
    attributes=(attributes.DB_SYSTEM_NAME, attributes.DB_NAMESPACE, attributes.TRUST_DB_TRANSACTION_OUTCOME, ),
    required=frozenset(("db.system.name", "trust.db.transaction.outcome", )),
)
TRUST_DEPENDENCY_CHECK_DURATION: Final = Metric(
    name="trust.dependency.check.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of the checks of a dependency.",
    attributes=(attributes.TRUST_DEPENDENCY_NAME, attributes.TRUST_DEPENDENCY_TYPE, attributes.ERROR_TYPE, ),
    required=frozenset(("trust.dependency.name", "trust.dependency.type", )),
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, ),
)
TRUST_DEPENDENCY_UP: Final = Metric(
    name="trust.dependency.up",
    instrument="gauge",
    unit="{dependency}",
    brief="1 if the last check of the dependency succeeded, 0 if it failed.",
    attributes=(attributes.TRUST_DEPENDENCY_NAME, attributes.TRUST_DEPENDENCY_TYPE, ),
    required=frozenset(("trust.dependency.name", "trust.dependency.type", )),
)
TRUST_DOCUMENT_PROCESSING_DURATION: Final = Metric(
    name="trust.document.processing.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of document processing.",
    attributes=(attributes.TRUST_DOCUMENT_TYPE, attributes.TRUST_OUTCOME, attributes.GEO_COUNTRY_ISO_CODE, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.document.type", "trust.outcome", )),
    buckets=(0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, ),
)
TRUST_EXECUTOR_QUEUE_SIZE: Final = Metric(
    name="trust.executor.queue.size",
    instrument="updowncounter",
    unit="{task}",
    brief="Tasks that are waiting for a worker thread.",
    attributes=(attributes.TRUST_EXECUTOR_NAME, ),
    required=frozenset(("trust.executor.name", )),
)
TRUST_EXECUTOR_THREADS: Final = Metric(
    name="trust.executor.threads",
    instrument="updowncounter",
    unit="{thread}",
    brief="Worker threads of a thread pool.",
    attributes=(attributes.TRUST_EXECUTOR_NAME, attributes.TRUST_EXECUTOR_STATE, ),
    required=frozenset(("trust.executor.name", "trust.executor.state", )),
)
TRUST_FEE_AMOUNT: Final = Metric(
    name="trust.fee.amount",
    instrument="counter",
    unit="{currency}",
    brief="Fees charged, in units of the currency.",
    attributes=(attributes.TRUST_CURRENCY, attributes.GEO_COUNTRY_ISO_CODE, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.currency", )),
)
TRUST_KEY_APPROVALS: Final = Metric(
    name="trust.key.approvals",
    instrument="counter",
    unit="{approval}",
    brief="Requests for approval of the use of a key by M of N custodians (quorum, dual control), by result.",
    attributes=(attributes.TRUST_KEY_NAME, attributes.TRUST_KEY_APPROVAL, ),
    required=frozenset(("trust.key.approval", "trust.key.name", )),
)
TRUST_KEY_USES: Final = Metric(
    name="trust.key.uses",
    instrument="counter",
    unit="{use}",
    brief="Uses of the keys in TRUST_OTEL_KEY_POLICY_FILE, by compliance with their policy.",
    attributes=(attributes.TRUST_KEY_NAME, attributes.TRUST_KEY_USE, ),
    required=frozenset(("trust.key.name", "trust.key.use", )),
    note="Only completed uses of private and secret keys count. A use that violates both limits counts as `outside_hours`.",
)
TRUST_KPI_AMOUNT: Final = Metric(
    name="trust.kpi.amount",
    instrument="counter",
    unit="{amount}",
    brief="Sum of the amounts of each KPI that is declared as a counter.",
    attributes=(attributes.TRUST_KPI_NAME, attributes.TRUST_CURRENCY, attributes.GEO_COUNTRY_ISO_CODE, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.kpi.name", )),
)
TRUST_KPI_VALUE: Final = Metric(
    name="trust.kpi.value",
    instrument="gauge",
    unit="{value}",
    brief="Current value of each KPI that is declared as a gauge.",
    attributes=(attributes.TRUST_KPI_NAME, attributes.TRUST_CURRENCY, attributes.GEO_COUNTRY_ISO_CODE, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.kpi.name", )),
)
TRUST_OTEL_DROPPED: Final = Metric(
    name="trust.otel.dropped",
    instrument="counter",
    unit="{measurement}",
    brief="Measurements or attributes that were dropped.",
    attributes=(attributes.REASON, ),
    required=frozenset(("reason", )),
)
TRUST_OTEL_INSTANCE_UP: Final = Metric(
    name="trust.otel.instance.up",
    instrument="gauge",
    unit="{instance}",
    brief="1 while the process runs; 0 in the last export of a clean shutdown.",
)
TRUST_OTEL_OVERFLOW: Final = Metric(
    name="trust.otel.overflow",
    instrument="counter",
    unit="{measurement}",
    brief="Measurements in an overflow series, because a cardinality limit was reached.",
    attributes=(attributes.METRIC, ),
    required=frozenset(("metric", )),
)
TRUST_OTEL_SOURCE_LAST_READ: Final = Metric(
    name="trust.otel.source.last_read",
    instrument="gauge",
    unit="s",
    brief="Unix time of the last check at which the source was read or unchanged.",
    attributes=(attributes.TRUST_OTEL_SOURCE_KIND, attributes.TRUST_OTEL_SOURCE_NAME, ),
    required=frozenset(("trust.otel.source.kind", "trust.otel.source.name", )),
)
TRUST_OTEL_SOURCE_UP: Final = Metric(
    name="trust.otel.source.up",
    instrument="gauge",
    unit="{source}",
    brief="1 if the last read of the file or endpoint in a setting succeeded, 0 if it failed.",
    attributes=(attributes.TRUST_OTEL_SOURCE_KIND, attributes.TRUST_OTEL_SOURCE_NAME, ),
    required=frozenset(("trust.otel.source.kind", "trust.otel.source.name", )),
)
TRUST_PKCS11_OPERATION_ACTIVE: Final = Metric(
    name="trust.pkcs11.operation.active",
    instrument="updowncounter",
    unit="{operation}",
    brief="Operations of an HSM in progress.",
    attributes=(attributes.TRUST_PKCS11_OPERATION, attributes.TRUST_PKCS11_TOKEN_LABEL, ),
    required=frozenset(("trust.pkcs11.operation", "trust.pkcs11.token.label", )),
)
TRUST_PKCS11_OPERATION_DURATION: Final = Metric(
    name="trust.pkcs11.operation.duration",
    instrument="histogram",
    unit="s",
    brief="Duration of the operations of an HSM.",
    attributes=(attributes.TRUST_PKCS11_OPERATION, attributes.TRUST_PKCS11_MECHANISM, attributes.TRUST_PKCS11_TOKEN_LABEL, attributes.ERROR_TYPE, ),
    required=frozenset(("trust.pkcs11.operation", "trust.pkcs11.token.label", )),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, ),
    note="An invalid signature is not an error. `error.type` is the return value, such as `CKR_DEVICE_ERROR`, or the class of another exception.",
)
TRUST_PKCS11_SESSION_COUNT: Final = Metric(
    name="trust.pkcs11.session.count",
    instrument="updowncounter",
    unit="{session}",
    brief="Open sessions of the process with a token.",
    attributes=(attributes.TRUST_PKCS11_TOKEN_LABEL, ),
    required=frozenset(("trust.pkcs11.token.label", )),
)
TRUST_PKCS11_SESSION_MAX: Final = Metric(
    name="trust.pkcs11.session.max",
    instrument="updowncounter",
    unit="{session}",
    brief="Maximum number of sessions of the process with a token; absent if it has no limit or does not give it.",
    attributes=(attributes.TRUST_PKCS11_TOKEN_LABEL, ),
    required=frozenset(("trust.pkcs11.token.label", )),
)
TRUST_PKCS11_SLOT_COUNT: Final = Metric(
    name="trust.pkcs11.slot.count",
    instrument="gauge",
    unit="{slot}",
    brief="Slots of the PKCS#11 module, by whether a token is present.",
    attributes=(attributes.TRUST_PKCS11_SLOT_STATE, ),
    required=frozenset(("trust.pkcs11.slot.state", )),
)
TRUST_PKCS11_TOKEN_MEMORY_FREE: Final = Metric(
    name="trust.pkcs11.token.memory.free",
    instrument="gauge",
    unit="By",
    brief="Free memory of a token for objects; absent if the token does not give it.",
    attributes=(attributes.TRUST_PKCS11_TOKEN_LABEL, attributes.TRUST_PKCS11_MEMORY_TYPE, ),
    required=frozenset(("trust.pkcs11.memory.type", "trust.pkcs11.token.label", )),
)
TRUST_REFUND_AMOUNT: Final = Metric(
    name="trust.refund.amount",
    instrument="counter",
    unit="{currency}",
    brief="Revenue that was paid back, in units of the currency.",
    attributes=(attributes.TRUST_CURRENCY, attributes.GEO_COUNTRY_ISO_CODE, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.currency", )),
)
TRUST_REVENUE_AMOUNT: Final = Metric(
    name="trust.revenue.amount",
    instrument="counter",
    unit="{currency}",
    brief="Value of transactions, in units of the currency.",
    attributes=(attributes.TRUST_CURRENCY, attributes.GEO_COUNTRY_ISO_CODE, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.currency", )),
)
TRUST_RPC_CLIENT_ACTIVE_CALLS: Final = Metric(
    name="trust.rpc.client.active_calls",
    instrument="updowncounter",
    unit="{call}",
    brief="Number of calls in progress on the client.",
    attributes=(attributes.RPC_METHOD, attributes.TRUST_RPC_TYPE, ),
    required=frozenset(("rpc.method", "trust.rpc.type", )),
)
TRUST_RPC_CLIENT_MESSAGES: Final = Metric(
    name="trust.rpc.client.messages",
    instrument="counter",
    unit="{message}",
    brief="Messages that the client received and sent.",
    attributes=(attributes.RPC_METHOD, attributes.TRUST_RPC_TYPE, attributes.TRUST_RPC_MESSAGE_DIRECTION, ),
    required=frozenset(("rpc.method", "trust.rpc.message.direction", "trust.rpc.type", )),
)
TRUST_RPC_SERVER_ACTIVE_CALLS: Final = Metric(
    name="trust.rpc.server.active_calls",
    instrument="updowncounter",
    unit="{call}",
    brief="Number of calls in progress on the server.",
    attributes=(attributes.RPC_METHOD, attributes.TRUST_RPC_TYPE, ),
    required=frozenset(("rpc.method", "trust.rpc.type", )),
)
TRUST_RPC_SERVER_MESSAGES: Final = Metric(
    name="trust.rpc.server.messages",
    instrument="counter",
    unit="{message}",
    brief="Messages that the server received and sent.",
    attributes=(attributes.RPC_METHOD, attributes.TRUST_RPC_TYPE, attributes.TRUST_RPC_MESSAGE_DIRECTION, ),
    required=frozenset(("rpc.method", "trust.rpc.message.direction", "trust.rpc.type", )),
)
TRUST_SECURITY_AUTH_FAILURES: Final = Metric(
    name="trust.security.auth.failures",
    instrument="counter",
    unit="{attempt}",
    brief="Failed authentication attempts of addresses with TRUST_OTEL_OFFENDER_THRESHOLD or more failures within an hour.",
    attributes=(attributes.CLIENT_ADDRESS, ),
    required=frozenset(("client.address", )),
)
TRUST_SECURITY_DETECTOR_ENABLED: Final = Metric(
    name="trust.security.detector.enabled",
    instrument="gauge",
    unit="{detector}",
    brief="1 for each enabled detector of suspicious activity (TRUST_OTEL_DETECTORS), by the type of its incidents.",
    attributes=(attributes.TRUST_SECURITY_INCIDENT_TYPE, ),
    required=frozenset(("trust.security.incident.type", )),
)
TRUST_SECURITY_INCIDENTS: Final = Metric(
    name="trust.security.incidents",
    instrument="counter",
    unit="{incident}",
    brief="Detected suspicious activity.",
    attributes=(attributes.TRUST_SECURITY_INCIDENT_TYPE, attributes.TRUST_SEVERITY, ),
    required=frozenset(("trust.security.incident.type", "trust.severity", )),
)
TRUST_SECURITY_RATE_LIMITED: Final = Metric(
    name="trust.security.rate_limited",
    instrument="counter",
    unit="{request}",
    brief="Requests refused by a rate limit.",
    attributes=(attributes.TRUST_RATE_LIMIT_NAME, ),
    required=frozenset(("trust.rate_limit.name", )),
)
TRUST_SECURITY_THREAT_MATCHES: Final = Metric(
    name="trust.security.threat_matches",
    instrument="counter",
    unit="{match}",
    brief="Requests from addresses on a reputation feed.",
    attributes=(attributes.TRUST_THREAT_FEED, attributes.GEO_COUNTRY_ISO_CODE, ),
    required=frozenset(("trust.threat.feed", )),
)
TRUST_SESSION_ACTIVE: Final = Metric(
    name="trust.session.active",
    instrument="updowncounter",
    unit="{session}",
    brief="Sessions that started in this process less those that ended in it; only the sum over all processes counts.",
)
TRUST_SESSION_STORED: Final = Metric(
    name="trust.session.stored",
    instrument="gauge",
    unit="{session}",
    brief="Open user sessions in the session store of the service; each process reports the whole number.",
)
TRUST_SLA_EVENTS: Final = Metric(
    name="trust.sla.events",
    instrument="counter",
    unit="{event}",
    brief="Events that an SLA covers; success where it was met.",
    attributes=(attributes.TRUST_SLA_NAME, attributes.TRUST_OUTCOME, attributes.TRUST_CLIENT_NAME, ),
    required=frozenset(("trust.outcome", "trust.sla.name", )),
)
TRUST_SLA_OBJECTIVE: Final = Metric(
    name="trust.sla.objective",
    instrument="gauge",
    unit="1",
    brief="Share of events that must meet the SLA, from 0 to 1.",
    attributes=(attributes.TRUST_SLA_NAME, ),
    required=frozenset(("trust.sla.name", )),
)
TRUST_TIMESTAMP_ACCURACY: Final = Metric(
    name="trust.timestamp.accuracy",
    instrument="histogram",
    unit="s",
    brief="Accuracy that issued timestamps state (RFC 3161, 2.4.2).",
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, ),
    note="One of the bucket boundaries is the 1 s of ETSI EN 319 421.",
)
TRUST_TIMESTAMP_RESPONSES: Final = Metric(
    name="trust.timestamp.responses",
    instrument="counter",
    unit="{response}",
    brief="Responses of the service's timestamping authority (RFC 3161).",
    attributes=(attributes.TRUST_TIMESTAMP_STATUS, attributes.TRUST_TIMESTAMP_FAILURE, ),
    required=frozenset(("trust.timestamp.status", )),
)
TRUST_TRUST_LIST_ANCHORS: Final = Metric(
    name="trust.trust_list.anchors",
    instrument="gauge",
    unit="{certificate}",
    brief="Different certificates in a list of trust anchors.",
    attributes=(attributes.TRUST_TRUST_LIST_NAME, attributes.TRUST_TRUST_LIST_TYPE, ),
    required=frozenset(("trust.trust_list.name", "trust.trust_list.type", )),
    note="In a trusted list, those of its services; in a list of the lists, those that may sign the lists it points to.",
)
TRUST_TRUST_LIST_ISSUE_DATE: Final = Metric(
    name="trust.trust_list.issue_date",
    instrument="gauge",
    unit="s",
    brief="Time at which a list of trust anchors was issued, as Unix time.",
    attributes=(attributes.TRUST_TRUST_LIST_NAME, attributes.TRUST_TRUST_LIST_TYPE, ),
    required=frozenset(("trust.trust_list.name", "trust.trust_list.type", )),
    note="The list issue date of a trusted list, the signing time of a master list (absent if it has none), the date of a VICAL.",
)
TRUST_TRUST_LIST_NEXT_UPDATE: Final = Metric(
    name="trust.trust_list.next_update",
    instrument="gauge",
    unit="s",
    brief="Time by which the next version of a list of trust anchors will be issued, as Unix time; absent if it states none, as master lists.",
    attributes=(attributes.TRUST_TRUST_LIST_NAME, attributes.TRUST_TRUST_LIST_TYPE, ),
    required=frozenset(("trust.trust_list.name", "trust.trust_list.type", )),
)
TRUST_TRUST_LIST_SEQUENCE_NUMBER: Final = Metric(
    name="trust.trust_list.sequence_number",
    instrument="gauge",
    unit="{number}",
    brief="Sequence number of a trusted list, or issue ID of a VICAL; absent if it has none, as master lists.",
    attributes=(attributes.TRUST_TRUST_LIST_NAME, attributes.TRUST_TRUST_LIST_TYPE, ),
    required=frozenset(("trust.trust_list.name", "trust.trust_list.type", )),
)
TRUST_TRUST_LIST_SIGNATURE: Final = Metric(
    name="trust.trust_list.signature",
    instrument="gauge",
    unit="{list}",
    brief="1 for the result of the verification of a list's signature, 0 for the other results.",
    attributes=(attributes.TRUST_TRUST_LIST_NAME, attributes.TRUST_TRUST_LIST_TYPE, attributes.TRUST_TRUST_LIST_SIGNATURE_STATUS, ),
    required=frozenset(("trust.trust_list.name", "trust.trust_list.signature.status", "trust.trust_list.type", )),
    note="The other metrics of a list whose signature is invalid keep the values of the last one that was not, because relying parties refuse it.",
)
TRUST_VALIDATION_RESULTS: Final = Metric(
    name="trust.validation.results",
    instrument="counter",
    unit="{validation}",
    brief="Validated signatures, by indication (ETSI EN 319 102-1).",
    attributes=(attributes.TRUST_VALIDATION_INDICATION, attributes.TRUST_VALIDATION_SUB_INDICATION, ),
    required=frozenset(("trust.validation.indication", )),
)

ALL: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        CPYTHON_GC_COLLECTIONS,
        DB_CLIENT_CONNECTION_COUNT,
        DB_CLIENT_CONNECTION_CREATE_TIME,
        DB_CLIENT_CONNECTION_IDLE_MAX,
        DB_CLIENT_CONNECTION_MAX,
        DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        DB_CLIENT_CONNECTION_TIMEOUTS,
        DB_CLIENT_CONNECTION_USE_TIME,
        DB_CLIENT_CONNECTION_WAIT_TIME,
        DB_CLIENT_OPERATION_DURATION,
        FLOWER_TASK_RUNTIME_SECONDS,
        HTTP_CLIENT_REQUEST_DURATION,
        HTTP_SERVER_ACTIVE_REQUESTS,
        HTTP_SERVER_REQUEST_BODY_SIZE,
        HTTP_SERVER_REQUEST_DURATION,
        HTTP_SERVER_RESPONSE_BODY_SIZE,
        PROCESS_CPU_TIME,
        PROCESS_MEMORY_USAGE,
        PROCESS_OPEN_FILE_DESCRIPTOR_COUNT,
        PROCESS_THREAD_COUNT,
        PROCESS_UPTIME,
        RPC_CLIENT_CALL_DURATION,
        RPC_SERVER_CALL_DURATION,
        TRUST_ACME_CHALLENGES,
        TRUST_ACME_ORDERS,
        TRUST_AUDIT_EVENTS,
        TRUST_AUDIT_OPERATIONS,
        TRUST_AUTH_ATTEMPTS,
        TRUST_AUTH_MFA_CHALLENGES,
        TRUST_AUTHZ_DECISIONS,
        TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
        TRUST_CERTIFICATE_CRL_NUMBER,
        TRUST_CERTIFICATE_CRL_SIZE,
        TRUST_CERTIFICATE_CRL_THIS_UPDATE,
        TRUST_CERTIFICATE_INVENTORY,
        TRUST_CERTIFICATE_LEAD_TIME,
        TRUST_CERTIFICATE_NOT_AFTER,
        TRUST_CERTIFICATE_NOT_BEFORE,
        TRUST_CERTIFICATE_OCSP_NEXT_UPDATE,
        TRUST_CERTIFICATE_OCSP_REQUEST_DURATION,
        TRUST_CERTIFICATE_OCSP_RESPONSES,
        TRUST_CERTIFICATE_OCSP_THIS_UPDATE,
        TRUST_CERTIFICATE_OPERATION_ACTIVE,
        TRUST_CERTIFICATE_OPERATION_DURATION,
        TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
        TRUST_CERTIFICATE_REVOCATION_DURATION,
        TRUST_CERTIFICATE_REVOCATION_PENDING_AGE,
        TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
        TRUST_CLIENT_REQUESTS,
        TRUST_CLOCK_OFFSET,
        TRUST_CLOCK_ROUND_TRIP,
        TRUST_COMPLIANCE_CHECKS,
        TRUST_COST_AMOUNT,
        TRUST_CT_SCTS,
        TRUST_CT_UNKNOWN_CERTIFICATES,
        TRUST_CUSTOMER_SATISFACTION,
        TRUST_DB_CLIENT_SLOW_OPERATIONS,
        TRUST_DB_CLIENT_TRANSACTIONS,
        TRUST_DEPENDENCY_CHECK_DURATION,
        TRUST_DEPENDENCY_UP,
        TRUST_DOCUMENT_PROCESSING_DURATION,
        TRUST_EXECUTOR_QUEUE_SIZE,
        TRUST_EXECUTOR_THREADS,
        TRUST_FEE_AMOUNT,
        TRUST_KEY_APPROVALS,
        TRUST_KEY_USES,
        TRUST_KPI_AMOUNT,
        TRUST_KPI_VALUE,
        TRUST_OTEL_DROPPED,
        TRUST_OTEL_INSTANCE_UP,
        TRUST_OTEL_OVERFLOW,
        TRUST_OTEL_SOURCE_LAST_READ,
        TRUST_OTEL_SOURCE_UP,
        TRUST_PKCS11_OPERATION_ACTIVE,
        TRUST_PKCS11_OPERATION_DURATION,
        TRUST_PKCS11_SESSION_COUNT,
        TRUST_PKCS11_SESSION_MAX,
        TRUST_PKCS11_SLOT_COUNT,
        TRUST_PKCS11_TOKEN_MEMORY_FREE,
        TRUST_REFUND_AMOUNT,
        TRUST_REVENUE_AMOUNT,
        TRUST_RPC_CLIENT_ACTIVE_CALLS,
        TRUST_RPC_CLIENT_MESSAGES,
        TRUST_RPC_SERVER_ACTIVE_CALLS,
        TRUST_RPC_SERVER_MESSAGES,
        TRUST_SECURITY_AUTH_FAILURES,
        TRUST_SECURITY_DETECTOR_ENABLED,
        TRUST_SECURITY_INCIDENTS,
        TRUST_SECURITY_RATE_LIMITED,
        TRUST_SECURITY_THREAT_MATCHES,
        TRUST_SESSION_ACTIVE,
        TRUST_SESSION_STORED,
        TRUST_SLA_EVENTS,
        TRUST_SLA_OBJECTIVE,
        TRUST_TIMESTAMP_ACCURACY,
        TRUST_TIMESTAMP_RESPONSES,
        TRUST_TRUST_LIST_ANCHORS,
        TRUST_TRUST_LIST_ISSUE_DATE,
        TRUST_TRUST_LIST_NEXT_UPDATE,
        TRUST_TRUST_LIST_SEQUENCE_NUMBER,
        TRUST_TRUST_LIST_SIGNATURE,
        TRUST_VALIDATION_RESULTS,
    )
}
