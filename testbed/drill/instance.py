"""A small instance of a service that reads commands from its standard input, and exits when that is closed."""

from __future__ import annotations

import sys

from trust_otel import get_metrics

# More than the limit of values of `trust.document.type`.
_TOO_MANY = 80
# More than the alert's minimum and, with the one valid order, more than its share.
_FAILED_ORDERS = 20


def main() -> None:
    """Record too many document types on the command `overflow`, an unknown metric on `mistake`, failures on `acme`."""
    metrics = get_metrics()
    # It has issued no certificate.
    metrics.observe_ct_feed(lambda _: False)
    metrics.record_acme_order("invalid", error_type="dns")
    metrics.record_acme_order("valid")
    for line in sys.stdin:
        if line.strip() == "overflow":
            for number in range(_TOO_MANY):
                with metrics.document_processing(f"kind-{number}"):
                    pass
        if line.strip() == "mistake":
            metrics.record_business_metric("not_declared", 1)
        if line.strip() == "acme":
            for _ in range(_FAILED_ORDERS):
                metrics.record_acme_order("invalid", error_type="dns")


if __name__ == "__main__":
    main()
