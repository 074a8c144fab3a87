"""A small instance of a service that reads commands from its standard input, and exits when that is closed."""

from __future__ import annotations

import sys

from trust_otel import get_metrics

# More than the limit of values of `trust.document.type`.
_TOO_MANY = 80


def main() -> None:
    """Record too many document types on the command `overflow`, and an unknown metric on `mistake`."""
    metrics = get_metrics()
    for line in sys.stdin:
        if line.strip() == "overflow":
            for number in range(_TOO_MANY):
                with metrics.document_processing(f"kind-{number}"):
                    pass
        if line.strip() == "mistake":
            metrics.record_business_metric("not_declared", 1)


if __name__ == "__main__":
    main()
