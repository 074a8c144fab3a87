"""The rounds of a drill: which alerts each fault must raise, and what may happen at the same time."""

from __future__ import annotations

from testbed.drill import faults
from testbed.drill.callers import Callers
from testbed.drill.environment import ARCHIVE, GATEWAY, SERVICE
from testbed.drill.trial import Expected, Trial


def _of(service: str, **labels: str) -> dict[str, str]:
    return {"service": service, **labels}


_BURN = _of(ARCHIVE)
_POD = {"namespace": "trust", "container": "trust-service"}

# A round begins when the one before has ended, but for alerts that resolve late. Faults that would hide each other's
# alerts, or cause them, are apart.
ROUNDS: tuple[tuple[Trial, ...], ...] = (
    (
        Trial(
            "of thousands of requests 14 fail, and then 150 take 3 s",
            faults.few_bad_answers,
            (
                Expected("TrustAvailabilityBudgetBurn", "warning", labels=_BURN),
                Expected("TrustLatencyBudgetBurn", "warning", labels=_BURN),
            ),
            resolves_late=True,
        ),
        Trial(
            "a few certificates cannot be judged",
            faults.some("revocation-unknown", Callers.validate, faults.FEW),
            (Expected("TrustValidationBudgetBurn", "warning", labels=_BURN),),
            resolves_late=True,
        ),
        Trial(
            "one address guesses tokens",
            faults.guessed_tokens,
            (
                Expected(
                    "TrustAuthFailuresFromAddress", "warning", "security", _of(SERVICE, client_address=faults.GUESSER)
                ),
                Expected(
                    "TrustBruteForceFromAddress", "critical", "security", _of(SERVICE, client_address=faults.GUESSER)
                ),
            ),
        ),
        Trial(
            "a forged certificate is shown",
            faults.forged_certificate,
            (
                Expected(
                    "TrustSuspiciousActivity",
                    "critical",
                    "security",
                    _of(SERVICE, trust_security_incident_type="forged_certificate"),
                ),
            ),
        ),
        Trial(
            "the token of an ended session is used",
            faults.replayed_session,
            (
                Expected(
                    "TrustSuspiciousActivity",
                    "warning",
                    "security",
                    _of(SERVICE, trust_security_incident_type="session_replay"),
                ),
            ),
        ),
        Trial(
            "a blocked address tries to log in",
            faults.blocked_guest,
            (
                Expected(
                    "TrustSuspiciousActivity",
                    "info",
                    "security",
                    _of(SERVICE, trust_security_incident_type="blocked_address"),
                ),
            ),
        ),
        Trial(
            "one address logs in without pause",
            faults.impatient_guest,
            (
                Expected(
                    "TrustExcessiveRateLimiting", "warning", "security", _of(SERVICE, trust_rate_limit_name="login")
                ),
            ),
        ),
        Trial(
            "privileged operations leave no record",
            faults.lost_audit_records,
            (
                Expected(
                    "TrustAuditRecordsMissing", "critical", "security", _of(SERVICE, trust_audit_action="address.block")
                ),
            ),
        ),
        Trial(
            "a certificate ends in 3 days",
            faults.expiring("gateway-tls", 90, 3),
            (
                Expected(
                    "TrustCertificateExpiring", "critical", labels=_of(SERVICE, trust_certificate_name="gateway-tls")
                ),
                *(
                    Expected(
                        "TrustCertificateExpiring",
                        "critical",
                        labels=_of(SERVICE, trust_certificate_name="gateway-tls"),
                        level=level,
                    )
                    for level in ("team-lead", "manager", "executives")
                ),
            ),
        ),
        Trial(
            "a certificate ends in 20 days",
            faults.expiring("archive-tls", 80, 20),
            (
                Expected(
                    "TrustCertificateExpiring", "warning", labels=_of(SERVICE, trust_certificate_name="archive-tls")
                ),
            ),
        ),
        Trial(
            "a document is to be signed with SHA-1",
            faults.weak_signature,
            (Expected("TrustComplianceFailure", "warning", "compliance", _of(SERVICE)),),
        ),
        Trial(
            "the registers answer late",
            faults.fault("registers-slow"),
            (Expected("TrustSlaViolation", "warning", "business", _of(SERVICE, trust_sla_name="document_processing")),),
        ),
        Trial(
            "the replica replays nothing",
            faults.paused_replica,
            (Expected("TrustDatabaseReplicationLag", "warning", labels={"service": "postgresql"}),),
        ),
        Trial(
            "one of two instances is killed",
            faults.killed_instance,
            (Expected("TrustServiceInstanceDown", "warning", labels=_of(GATEWAY)),),
        ),
        Trial(
            "a program takes 88 % of the host's memory",
            faults.memory,
            (Expected("TrustHostMemoryHigh", "critical", labels={"service": "host"}),),
        ),
        Trial(
            "80 kinds of document are made up",
            faults.too_many_kinds,
            (Expected("TrustCardinalityOverflow", "warning", labels=_of(GATEWAY)),),
        ),
    ),
    (
        Trial(
            "Vault is sealed",
            faults.sealed_vault,
            (Expected("TrustVaultUnavailable", "critical", "security", _of(SERVICE)),),
        ),
        Trial(
            "the list of revoked certificates is not renewed",
            faults.fault("revocation-list-stale"),
            (Expected("TrustRevocationListStale", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "a table is locked again and again",
            faults.locked_table,
            (Expected("TrustDatabaseSlowQueries", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "Redis is stopped",
            faults.stopped_cache,
            (Expected("TrustDependencyDown", "warning", labels=_of(SERVICE, trust_dependency_name="sessions")),),
        ),
        Trial(
            "the Redis exporter is stopped",
            faults.stopped("redis-exporter"),
            (Expected("TrustMonitoringTargetDown", "warning", labels={"service": "monitoring", "job": "redis"}),),
        ),
        Trial(
            "a file system is filled",
            faults.disk,
            (Expected("TrustHostDiskSpaceLow", "critical", labels={"service": "host"}),),
        ),
        Trial(
            "a container comes close to its limit",
            faults.full_container,
            (Expected("TrustContainerMemoryHigh", "critical", labels=_POD),),
        ),
        Trial(
            "a node is not ready",
            faults.node("Ready", "false"),
            (Expected("TrustKubernetesNodeUnhealthy", "critical", labels={"service": "kubernetes"}),),
        ),
        Trial(
            "a container crashes again and again",
            faults.crashing_pod,
            (Expected("TrustContainerRestartLoop", "warning", labels=_POD),),
        ),
        Trial(
            "5 % of a pod's packets are broken",
            faults.broken_packets,
            (Expected("TrustNetworkProblems", "warning", labels={"namespace": "trust"}),),
        ),
        Trial(
            "a sender's clock is a day late",
            faults.late_data,
            (Expected("TrustCollectorDropsData", "critical", labels={"service": "monitoring"}),),
        ),
        Trial(
            "a rule meets two series where one was",
            faults.broken_rule,
            (Expected("TrustRuleEvaluationFailures", "critical", labels={"service": "monitoring"}),),
        ),
        Trial(
            "a feed is an error page",
            faults.spoilt_feed,
            (Expected("TrustSourceUnreadable", "warning", labels=_of(SERVICE, trust_otel_source_kind="reputation")),),
        ),
        Trial(
            "gRPC calls fail",
            faults.calls("calls-broken"),
            (Expected("TrustGrpcHighErrorRate", "critical", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "gRPC streams fail",
            faults.calls("streams-broken", stream=True),
            (Expected("TrustGrpcStreamFailures", "warning", labels=_of(ARCHIVE)),),
        ),
    ),
    (
        Trial(
            "one in two certificates is refused",
            faults.refused_certificates,
            (Expected("TrustCertificateValidationFailures", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "the key cannot be used",
            faults.signer_without_key,
            (Expected("TrustSigningFailures", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "gRPC calls take 3 s",
            faults.calls("calls-slow"),
            (Expected("TrustGrpcHighLatency", "warning", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "the folder of certificates is gone",
            faults.gone_folder,
            (Expected("TrustCertificateInventoryStale", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "Slack refuses a channel's messages",
            faults.deaf_receiver,
            (Expected("TrustNotificationsFailing", "critical", labels={"service": "monitoring"}),),
        ),
    ),
    (
        Trial(
            "PostgreSQL is stopped",
            faults.stopped_database,
            (Expected("TrustDatabaseConnectionsFailed", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "the last instance is killed",
            faults.no_instance,
            (Expected("TrustServiceDown", "critical", labels=_of(GATEWAY)),),
        ),
    ),
    (
        Trial(
            "the authority does not answer",
            faults.fault("pki-unreachable"),
            (Expected("TrustPkiUnavailable", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "every request fails",
            faults.fault("answers-broken", archive=True),
            (
                Expected("TrustServiceHighErrorRate", "critical", labels=_of(ARCHIVE)),
                Expected("TrustAvailabilityBudgetBurn", "critical", labels=_BURN),
            ),
        ),
        Trial(
            "no certificate can be judged",
            faults.unjudged,
            (Expected("TrustValidationBudgetBurn", "critical", labels=_BURN),),
        ),
    ),
    (
        Trial(
            "every answer takes 3 s",
            faults.slow_answers,
            (
                Expected("TrustServiceHighLatency", "critical", labels=_of(ARCHIVE)),
                Expected("TrustLatencyBudgetBurn", "critical", labels=_BURN),
            ),
        ),
        Trial(
            "nobody gives a database connection back",
            faults.fault("pool-exhausted", archive=True),
            (Expected("TrustDatabaseConnectionProblems", "warning", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "no customer comes",
            faults.no_customers,
            (
                Expected("TrustProcessingVolumeUnusual", "warning", "business", _of(SERVICE)),
                Expected("TrustRevenueDrop", "warning", "business", _of(SERVICE, trust_currency="EUR")),
            ),
        ),
    ),
    (
        Trial(
            "the line from the Collector to Prometheus is cut",
            faults.cut_connection,
            (
                Expected("TrustCollectorCannotDeliver", "critical", labels={"service": "monitoring"}),
                Expected("TrustCollectorQueueFilling", "warning", labels={"service": "monitoring"}),
                Expected("TrustCollectorRefusesData", "warning", labels={"service": "monitoring"}),
            ),
        ),
    ),
    (
        Trial(
            "the Collector is stopped",
            faults.stopped("collector"),
            (Expected("TrustMonitoringTargetDown", "critical", labels={"service": "monitoring"}),),
        ),
    ),
    (
        Trial(
            "the Collector's queue file is damaged",
            faults.damaged_queue,
            (Expected("TrustCollectorQueueDamaged", "warning", labels={"service": "monitoring"}),),
        ),
    ),
)
