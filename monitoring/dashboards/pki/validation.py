"""Validation of signatures by indication."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, table_panel, time_series_panel
from monitoring.dashboards.pki.constants import (
    BY_SERVICE,
    INDETERMINATE_LIMIT,
    RESULTS,
    SERVICE_KEY,
    SERVICE_WIDTH,
    SUB_INDICATIONS,
    VALIDATION,
)
from monitoring.dashboards.queries import increase, rate, ratio, total
from monitoring.dashboards.thresholds import rising
from trust_otel.semconv.metrics import TRUST_VALIDATION_RESULTS

_INDICATION: Final = "trust_validation_indication"
_SUB_INDICATION: Final = "trust_validation_sub_indication"
_NO_RESULTS: Final = "No validation was recorded. Call record_validation_result"


def _share_of(indication: str) -> str:
    def within_an_hour(*matchers: str) -> str:
        return total(increase(TRUST_VALIDATION_RESULTS, *matchers, over="1h"), *BY_SERVICE)

    return ratio(within_an_hour(f'{_INDICATION}="{indication}"'), within_an_hour())


INDETERMINATE: Final = _share_of("INDETERMINATE")
"""Share of the validations of each service within an hour."""


def indications() -> timeseries.Panel:
    """Share of the results that are not TOTAL-PASSED."""
    return time_series_panel(
        PanelText(
            VALIDATION,
            "Validations that did not pass",
            "How many signatures could not be validated, and is it the signatures or our information? Share of the "
            "validations within an hour with TOTAL-FAILED or INDETERMINATE (ETSI EN 319 102-1), with the threshold of "
            "the alert on INDETERMINATE.",
            "INDETERMINATE rises: information is missing; see Reasons of results. TOTAL-FAILED rises: find out which "
            "client sends these signatures.",
            _NO_RESULTS,
            alerts=("TrustValidationIndeterminate",),
        ),
        "percentunit",
        (
            Query("{{service_name}} INDETERMINATE", INDETERMINATE),
            Query("{{service_name}} TOTAL-FAILED", _share_of("TOTAL-FAILED")),
        ),
        levels=rising(red=INDETERMINATE_LIMIT),
        highest_first=True,
    )


def results() -> timeseries.Panel:
    """Results over time."""
    return time_series_panel(
        PanelText(
            RESULTS,
            "Validations by indication",
            "How much is validated, and with which result? Validations per second by indication (ETSI EN 319 102-1).",
            "A sudden change of one indication: compare with deployments (marked in the graph) and with changes of "
            "trust anchors.",
            _NO_RESULTS,
        ),
        "reqps",
        (
            Query(
                "{{service_name}} {{" + _INDICATION + "}}",
                total(rate(TRUST_VALIDATION_RESULTS), *BY_SERVICE, _INDICATION),
            ),
        ),
        highest_first=True,
    )


def sub_indications() -> table.Panel:
    """Results by sub-indication."""
    by = (*BY_SERVICE, _INDICATION, _SUB_INDICATION)
    counted = total(increase(TRUST_VALIDATION_RESULTS, f'{_INDICATION}!="TOTAL-PASSED"'), *by)
    recent = total(increase(TRUST_VALIDATION_RESULTS, f'{_INDICATION}!="TOTAL-PASSED"', over="1h"), *by)

    def named(query: str) -> str:
        return f'label_replace({query}, "{_SUB_INDICATION}", "none", "{_SUB_INDICATION}", "")'

    return table_panel(
        PanelText(
            SUB_INDICATIONS,
            "Reasons of results",
            "Why did validations not pass? Results by sub-indication in the selected time range, and in the last hour.",
            "TRY_LATER, NO_POE or REVOKED_NO_POE: revocation information or timestamps are missing. "
            "NO_CERTIFICATE_CHAIN_FOUND: a trust anchor is missing or too old. HASH_FAILURE: documents were changed.",
            "Every validation passed, or none was recorded.",
        ),
        {**SERVICE_KEY, _INDICATION: "Indication", _SUB_INDICATION: "Sub-indication"},
        (
            Column("Results", named(f"round({counted})"), "none"),
            Column("Last hour", named(f"round({recent})"), "none"),
        ),
        sort="Results",
        key_widths={**SERVICE_WIDTH, "Indication": 150},
        width=24,
        height=7,
    )
