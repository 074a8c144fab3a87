"""The schedule of the drill: the alerts that each fault must cause, in rounds of simultaneous faults."""

from __future__ import annotations

from testbed.drill import faults
from testbed.drill.environment import ARCHIVE, GATEWAY, SERVICE
from testbed.drill.service_client import ServiceClient
from testbed.drill.trial import Expected, Trial
from testbed.trust_list_files import MASTER_LIST, TRUSTED_LIST, VICAL


def _of(service: str, **labels: str) -> dict[str, str]:
    return {"service": service, **labels}


_BURN = _of(ARCHIVE)
_POD = {"namespace": "trust", "container": "trust-service"}

# A round begins when all alerts of the previous one have resolved, except those that resolve late. Faults that would
# hide or cause each other's alerts are in different rounds.
ROUNDS: tuple[tuple[Trial, ...], ...] = (
    (
        Trial(
            "14 requests fail, then 150 take 3 s, of thousands",
            faults.few_errors_and_slow_responses,
            (
                Expected("TrustAvailabilityBudgetBurn", "warning", labels=_BURN),
                Expected("TrustLatencyBudgetBurn", "warning", labels=_BURN),
            ),
            resolves_late=True,
        ),
        Trial(
            "the revocation status of a few certificates is unknown",
            faults.few_failures("revocation-unknown", ServiceClient.validate, faults.FEW_FAILURES),
            (Expected("TrustValidationBudgetBurn", "warning", labels=_BURN),),
            resolves_late=True,
        ),
        Trial(
            "one address guesses tokens",
            faults.guessed_tokens,
            (
                Expected(
                    "TrustAuthFailuresFromAddress",
                    "warning",
                    "security",
                    _of(SERVICE, client_address=faults.GUESSER),
                ),
                Expected(
                    "TrustBruteForceFromAddress",
                    "critical",
                    "security",
                    _of(SERVICE, client_address=faults.GUESSER),
                ),
            ),
        ),
        Trial(
            "a forged certificate is validated",
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
            "a session token is used after logout",
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
            faults.login_from_blocked_address,
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
            "one address logs in 20 times per second",
            faults.excessive_logins,
            (
                Expected(
                    "TrustExcessiveRateLimiting", "warning", "security", _of(SERVICE, trust_rate_limit_name="login")
                ),
            ),
        ),
        Trial(
            "privileged operations write no audit record",
            faults.lost_audit_records,
            (
                Expected(
                    "TrustAuditRecordsMissing", "critical", "security", _of(SERVICE, trust_audit_action="address.block")
                ),
            ),
        ),
        Trial(
            "a certificate expires in 3 days",
            faults.expiring_certificate("gateway-tls", 90, 3),
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
            "a certificate expires in 20 days",
            faults.expiring_certificate("archive-tls", 80, 20),
            (
                Expected(
                    "TrustCertificateExpiring", "warning", labels=_of(SERVICE, trust_certificate_name="archive-tls")
                ),
            ),
        ),
        Trial(
            "a CA certificate expires in 100 days",
            faults.expiring_certificate("old-root", 1500, 100, faults.CA),
            (Expected("TrustCaRolloverDue", "warning", labels=_of(SERVICE, trust_certificate_name="old-root")),),
        ),
        Trial(
            "a signer's certificate expires in 60 days",
            faults.expiring_certificate("archive-signer", 400, 60, faults.DOCUMENT_SIGNER),
            (
                Expected(
                    "TrustCertificateRenewalDue",
                    "warning",
                    labels=_of(SERVICE, trust_certificate_name="archive-signer"),
                ),
            ),
        ),
        Trial(
            "a revocation request waits for a decision for 21 hours",
            faults.undecided_request(hours=21),
            (Expected("TrustRevocationDecisionOverdue", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "a revocation of 50 minutes ago is not in the list",
            faults.unpublished_revocation(minutes=50),
            (
                Expected(
                    "TrustRevocationPublicationOverdue",
                    "warning",
                    labels=_of(SERVICE, trust_certificate_revocation_pending="crl"),
                ),
            ),
        ),
        Trial(
            "the clock is 0.8 s off",
            faults.wrong_clock(0.8),
            (Expected("TrustClockOffset", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "the key of the timestamping authority cannot be used",
            faults.fault("timestamping-broken"),
            (
                Expected(
                    "TrustTimestampFailures", "critical", labels=_of(SERVICE, trust_timestamp_failure="systemFailure")
                ),
            ),
        ),
        Trial(
            "a signature with SHA-1 is requested",
            faults.weak_signature,
            (Expected("TrustComplianceFailure", "warning", "compliance", _of(SERVICE)),),
        ),
        Trial(
            "the country registers respond slowly",
            faults.fault("registers-slow"),
            (Expected("TrustSlaViolation", "warning", "business", _of(SERVICE, trust_sla_name="document_processing")),),
        ),
        Trial(
            "WAL replay on the replica is paused",
            faults.paused_replica,
            (Expected("TrustDatabaseReplicationLag", "warning", labels={"service": "postgresql"}),),
        ),
        Trial(
            "one of two instances is killed",
            faults.killed_instance,
            (Expected("TrustServiceInstanceDown", "warning", labels=_of(GATEWAY)),),
        ),
        Trial(
            "80 document types are recorded",
            faults.gateway_command("overflow"),
            (Expected("TrustCardinalityOverflow", "warning", labels=_of(GATEWAY)),),
        ),
        Trial(
            "a monitor of certificate transparency finds an unknown certificate",
            faults.unknown_certificate,
            (Expected("TrustUnknownCertificateIssued", "critical", "security", _of(GATEWAY)),),
            resolves_late=True,
        ),
        Trial(
            "20 of 22 ACME orders fail",
            faults.gateway_command("acme"),
            (Expected("TrustAcmeFailures", "warning", labels=_of(GATEWAY)),),
            resolves_late=True,
        ),
        Trial(
            "a service records a metric that does not exist",
            faults.gateway_command("mistake"),
            (Expected("TrustMeasurementsDropped", "warning", labels=_of(GATEWAY)),),
        ),
    ),
    (
        Trial(
            "Vault is sealed",
            faults.sealed_vault,
            (Expected("TrustVaultUnavailable", "critical", "security", _of(SERVICE)),),
        ),
        Trial(
            "the revocation list is not renewed",
            faults.fault("revocation-list-stale"),
            (Expected("TrustRevocationListStale", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "the OCSP responder's responses are out of date",
            faults.fault("revocation-status-stale"),
            (Expected("TrustOcspResponseStale", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "the clock is 5 s off",
            faults.wrong_clock(5),
            (
                Expected("TrustClockOffset", "critical", labels=_of(SERVICE)),
                Expected(
                    "TrustTimestampFailures",
                    "critical",
                    labels=_of(SERVICE, trust_timestamp_failure="timeNotAvailable"),
                ),
            ),
        ),
        Trial(
            "a trusted list is past its next update",
            faults.old_trust_list(TRUSTED_LIST, 181),
            (Expected("TrustListStale", "critical", labels=_of(SERVICE, trust_trust_list_name=TRUSTED_LIST)),),
        ),
        Trial(
            "a master list is 181 days old",
            faults.old_trust_list(MASTER_LIST, 181),
            (Expected("TrustListStale", "warning", labels=_of(SERVICE, trust_trust_list_name=MASTER_LIST)),),
        ),
        Trial(
            "a list of trust anchors is signed by somebody else",
            faults.forged_trust_list,
            (
                Expected(
                    "TrustListSignatureInvalid",
                    "critical",
                    "security",
                    _of(SERVICE, trust_trust_list_name=VICAL),
                ),
            ),
        ),
        Trial(
            "a table is locked repeatedly",
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
            faults.stopped_component("redis-exporter"),
            (Expected("TrustMonitoringTargetDown", "warning", labels={"service": "monitoring", "job": "redis"}),),
        ),
        Trial(
            "a file system is filled",
            faults.full_disk,
            (Expected("TrustHostDiskSpaceLow", "critical", labels={"service": "host"}),),
        ),
        Trial(
            "a container uses 95 % of its memory limit",
            faults.container_near_memory_limit,
            (Expected("TrustContainerMemoryHigh", "critical", labels=_POD),),
        ),
        Trial(
            "a node is not ready",
            faults.node_condition("Ready", "false"),
            (Expected("TrustKubernetesNodeUnhealthy", "critical", labels={"service": "kubernetes"}),),
        ),
        Trial(
            "a container is in a crash loop",
            faults.crashing_pod,
            (Expected("TrustContainerRestartLoop", "warning", labels=_POD),),
        ),
        Trial(
            "5 % of a pod's packets have errors",
            faults.packet_errors,
            (Expected("TrustNetworkProblems", "warning", labels={"namespace": "trust"}),),
        ),
        Trial(
            "a sender's clock is one day behind",
            faults.late_data,
            (Expected("TrustCollectorDropsData", "critical", labels={"service": "monitoring"}),),
        ),
        Trial(
            "a recording rule produces duplicate series",
            faults.broken_rule,
            (Expected("TrustRuleEvaluationFailures", "critical", labels={"service": "monitoring"}),),
        ),
        Trial(
            "a threat feed is an HTML error page",
            faults.invalid_feed,
            (Expected("TrustSourceUnreadable", "warning", labels=_of(SERVICE, trust_otel_source_kind="reputation")),),
        ),
        Trial(
            "an instance no longer checks a threat feed",
            faults.unchecked_source,
            (Expected("TrustSourceNotChecked", "warning", labels=_of("drill", trust_otel_source_name="blocklist")),),
        ),
        Trial(
            "the clock of an instance is 2 minutes ahead",
            faults.clock_ahead,
            (Expected("TrustInstanceClockOff", "warning", labels=_of(SERVICE, service_instance_id="clock-ahead")),),
        ),
        Trial(
            "an HSM returns CKR_DEVICE_ERROR",
            faults.hsm("broken"),
            (Expected("TrustHsmErrors", "critical", labels=_of(SERVICE, error_type="CKR_DEVICE_ERROR")),),
        ),
        Trial(
            "an HSM takes 2 s to sign",
            faults.hsm("slow"),
            (Expected("TrustHsmSlow", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "an HSM refuses sessions",
            faults.hsm("refused"),
            (Expected("TrustHsmSessionsExhausted", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "all sessions of an HSM are open",
            faults.hsm("full"),
            (Expected("TrustHsmSessionsExhausted", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "a key is used on a day on which it must not be",
            faults.key_outside_hours,
            (
                Expected(
                    "TrustKeyUsedOutsidePolicy",
                    "critical",
                    "security",
                    _of(SERVICE, trust_key_use="outside_hours"),
                ),
            ),
        ),
        Trial(
            "gRPC calls fail",
            faults.grpc_fault("calls-broken"),
            (
                Expected("TrustGrpcHighErrorRate", "critical", labels=_of(ARCHIVE)),
                Expected("TrustAvailabilityBudgetBurn", "critical", labels=_BURN),
            ),
        ),
        Trial(
            "gRPC streams fail",
            faults.grpc_fault("streams-broken", stream=True),
            (Expected("TrustGrpcStreamFailures", "warning", labels=_of(ARCHIVE)),),
        ),
    ),
    (
        Trial(
            "signatures with certificates of an unknown CA are validated",
            faults.untrusted_certificates,
            (
                Expected("TrustCertificateValidationFailures", "critical", labels=_of(SERVICE)),
                Expected("TrustValidationIndeterminate", "warning", labels=_of(SERVICE)),
            ),
            resolves_late=True,
        ),
        Trial(
            "a revocation request waits for a decision for 25 hours",
            faults.undecided_request(hours=25),
            (Expected("TrustRevocationDecisionOverdue", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "a revocation of 2 hours ago is not in the list",
            faults.unpublished_revocation(minutes=120),
            (
                Expected(
                    "TrustRevocationPublicationOverdue",
                    "critical",
                    labels=_of(SERVICE, trust_certificate_revocation_pending="crl"),
                ),
                # The OCSP responder has published it, two hours late.
                Expected(
                    "TrustRevocationLate",
                    "warning",
                    labels=_of(SERVICE, trust_certificate_revocation_channel="ocsp"),
                ),
            ),
            resolves_late=True,
        ),
        Trial(
            "the signing key cannot be used",
            faults.signer_without_key,
            (Expected("TrustSigningFailures", "critical", labels=_of(SERVICE)),),
        ),
        Trial(
            "the certificate folder is missing",
            faults.missing_certificate_folder,
            (Expected("TrustCertificateInventoryStale", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "Slack rejects a channel's messages",
            faults.failing_receiver,
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
            faults.no_instances,
            (Expected("TrustServiceDown", "critical", labels=_of(GATEWAY)),),
        ),
    ),
    (
        Trial(
            "the certificate authority does not respond",
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
            "the revocation status of all certificates is unknown",
            faults.revocation_unknown,
            (Expected("TrustValidationBudgetBurn", "critical", labels=_BURN),),
        ),
    ),
    (
        Trial(
            "every request takes 3 s",
            faults.slow_responses,
            (
                Expected("TrustServiceHighLatency", "critical", labels=_of(ARCHIVE)),
                Expected("TrustLatencyBudgetBurn", "critical", labels=_BURN),
            ),
        ),
        Trial(
            "gRPC calls take 3 s",
            faults.grpc_fault("calls-slow"),
            (Expected("TrustGrpcHighLatency", "warning", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "database connections are not returned to the pool",
            faults.fault("pool-exhausted", archive=True),
            (Expected("TrustDatabaseConnectionProblems", "warning", labels=_of(ARCHIVE)),),
        ),
        Trial(
            "the revocation list is not renewed in time",
            faults.fault("revocation-list-late"),
            (Expected("TrustRevocationListNotPublished", "warning", labels=_of(SERVICE)),),
        ),
        Trial(
            "there is no traffic",
            faults.no_traffic,
            (
                Expected("TrustProcessingVolumeUnusual", "warning", "business", _of(SERVICE)),
                Expected("TrustRevenueDrop", "warning", "business", _of(SERVICE, trust_currency="EUR")),
            ),
        ),
    ),
    (
        Trial(
            "the connection from the Collector to Prometheus is cut",
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
            faults.stopped_component("collector"),
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
    # By itself: on a virtual machine, the first use of so much memory stalls all programs, sometimes for minutes.
    (
        Trial(
            "a program takes 88 % of the host's memory",
            faults.memory_pressure,
            (Expected("TrustHostMemoryHigh", "critical", labels={"service": "host"}),),
        ),
    ),
)
