"""The expected totals of the traffic, as PromQL selectors with their values."""

from __future__ import annotations

from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

Labels = tuple[tuple[str, str], ...]


class ExpectedTotals:
    """Accumulates expected totals, and tracks which ones unanswered requests made uncertain."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Labels], float] = {}
        self._uncertain: list[tuple[str, Labels]] = []
        # Present even without logins.
        self.session(0)

    def totals(self) -> dict[str, float]:
        return {_selector(*series): value for series, value in sorted(self._sums.items())}

    def uncertain(self) -> list[str]:
        """Selectors whose value may be higher than their total, or for sessions lower."""
        return [_selector(*series) for series in sorted(self._sums) if self._is_uncertain(*series)]

    def mark_uncertain(self, metric: Metric, **labels: str) -> None:
        """Mark series with these labels as uncertain because of an unanswered request."""
        self._uncertain.append((metric.prometheus_name, _sorted(labels)))

    def http(self, method: str, route: str, status: int) -> None:
        """A request; the route is empty for an unknown path."""
        self._count(
            metrics.HTTP_SERVER_REQUEST_DURATION,
            http_request_method=method,
            http_route=route,
            http_response_status_code=str(status),
        )

    def rpc(self, method: str, status: str, *, received: int, sent: int) -> None:
        """A call, with the messages that the service received and sent."""
        self._count(metrics.RPC_SERVER_CALL_DURATION, rpc_method=method, rpc_response_status_code=status)
        for direction, messages in (("received", received), ("sent", sent)):
            if messages:
                self._count(
                    metrics.TRUST_RPC_SERVER_MESSAGES,
                    messages,
                    rpc_method=method,
                    trust_rpc_message_direction=direction,
                )

    def certificate(self, operation: str, certificate_type: str, problem: str | None) -> None:
        """A certificate operation; `problem` is why it failed, or None."""
        self._count(
            metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
            trust_certificate_operation=operation,
            trust_certificate_type=certificate_type,
            trust_outcome=_outcome(problem is None),
            error_type=problem or "",
        )
        if problem == "forged" and operation == "validation":
            self.incident("forged_certificate", "critical")

    def revocation(self, reason: str, *, approved: bool) -> None:
        """A decision about a request, and its publication if it was approved."""
        decided = metrics.TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION
        self._count(decided, trust_certificate_revocation_reason=reason)
        if approved:
            for metric in (
                metrics.TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
                metrics.TRUST_CERTIFICATE_REVOCATION_DURATION,
            ):
                for channel in ("crl", "ocsp"):
                    self._count(
                        metric,
                        trust_certificate_revocation_channel=channel,
                        trust_certificate_revocation_reason=reason,
                    )

    def validation(self, indication: str, sub_indication: str | None) -> None:
        """The validation of a signature."""
        self._count(
            metrics.TRUST_VALIDATION_RESULTS,
            trust_validation_indication=indication,
            trust_validation_sub_indication=sub_indication or "",
        )

    def timestamp(self, failure: str | None) -> None:
        """A response of the timestamping authority; `failure` is why it refused, or None."""
        self.certificate("timestamp", "tsa", failure)
        self._count(
            metrics.TRUST_TIMESTAMP_RESPONSES,
            trust_timestamp_status="granted" if failure is None else "rejection",
            trust_timestamp_failure=failure or "",
        )
        if failure is None:
            self._count(metrics.TRUST_TIMESTAMP_ACCURACY)

    def authentication(self, method: str, *, success: bool, country: str = "") -> None:
        """A login or token attempt; `country` is empty for an unknown caller on this host."""
        self._count(
            metrics.TRUST_AUTH_ATTEMPTS,
            trust_auth_method=method,
            trust_outcome=_outcome(success),
            geo_country_iso_code=country,
        )
        self._count(metrics.TRUST_AUTH_ATTEMPTS, trust_auth_method=method, trust_outcome=_outcome(success))

    def second_factor(self, *, success: bool) -> None:
        self._count(
            metrics.TRUST_AUTH_MFA_CHALLENGES,
            trust_auth_mfa_method="totp",
            trust_outcome=_outcome(success),
        )

    def session(self, change: int) -> None:
        self._count(metrics.TRUST_SESSION_ACTIVE, change)

    def authorization(self, resource: str, *, granted: bool) -> None:
        self._count(
            metrics.TRUST_AUTHZ_DECISIONS,
            trust_authz_decision="grant" if granted else "deny",
            trust_authz_resource_type=resource,
        )

    def incident(self, kind: str, severity: str) -> None:
        self._count(
            metrics.TRUST_SECURITY_INCIDENTS,
            trust_security_incident_type=kind,
            trust_severity=severity,
        )

    def rate_limited(self, name: str) -> None:
        self._count(metrics.TRUST_SECURITY_RATE_LIMITED, trust_rate_limit_name=name)

    def threat(self, feed: str) -> None:
        self._count(metrics.TRUST_SECURITY_THREAT_MATCHES, trust_threat_feed=feed)

    def audit(self, action: str, *, success: bool) -> None:
        self._count(metrics.TRUST_AUDIT_OPERATIONS, trust_audit_action=action)
        self._count(metrics.TRUST_AUDIT_EVENTS, trust_audit_action=action, trust_outcome=_outcome(success))

    def compliance(self, framework: str, control: str, *, passed: bool) -> None:
        self._count(
            metrics.TRUST_COMPLIANCE_CHECKS,
            trust_compliance_framework=framework,
            trust_compliance_control=control,
            trust_outcome=_outcome(passed),
        )

    def document(self, document_type: str, country: str, outcome: str, *, sla_met: bool) -> None:
        self._count(
            metrics.TRUST_DOCUMENT_PROCESSING_DURATION,
            trust_document_type=document_type,
            geo_country_iso_code=country,
            trust_outcome=outcome,
        )
        self._count(
            metrics.TRUST_SLA_EVENTS,
            trust_sla_name="document_processing",
            trust_outcome=_outcome(sla_met),
        )

    def money(
        self,
        *,
        revenue: float,
        refund: float,
        fee: float,
        cost: float,
        currency: str,
        country: str,
        client: str,
    ) -> None:
        for metric, amount in (
            (metrics.TRUST_REVENUE_AMOUNT, revenue),
            (metrics.TRUST_REFUND_AMOUNT, refund),
            (metrics.TRUST_FEE_AMOUNT, fee),
            (metrics.TRUST_COST_AMOUNT, cost),
        ):
            self._count(
                metric,
                amount,
                trust_currency=currency,
                geo_country_iso_code=country,
                trust_client_name=client,
            )

    def satisfaction(self, score: int) -> None:
        self._count(metrics.TRUST_CUSTOMER_SATISFACTION)
        self._add(f"{metrics.TRUST_CUSTOMER_SATISFACTION.prometheus_name}_sum", (), score)

    def _count(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        suffix = "_count" if metric.instrument == "histogram" else ""
        self._add(metric.prometheus_name + suffix, _sorted(labels), amount)

    def _add(self, name: str, labels: Labels, amount: float) -> None:
        self._sums[name, labels] = self._sums.get((name, labels), 0) + amount

    def _is_uncertain(self, name: str, labels: Labels) -> bool:
        family = name.removesuffix("_count").removesuffix("_sum")
        return any(family == metric and set(known) <= set(labels) for metric, known in self._uncertain)


def _outcome(success: bool) -> str:
    return "success" if success else "failure"


def _sorted(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _selector(name: str, labels: Labels) -> str:
    matchers = ",".join(f'{label}="{value}"' for label, value in labels)
    return f"sum({name}{{{matchers}}})" if matchers else f"sum({name})"
