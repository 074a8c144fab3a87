"""A small instance of a service, which does what it reads from its standard input until that ends."""

from __future__ import annotations

import sys

from trust_otel import get_metrics

# More than the label `trust.document.type` may hold.
_TOO_MANY = 80


def main() -> None:
    """Record nothing, or too many kinds of document when asked to `overflow`."""
    metrics = get_metrics()
    for line in sys.stdin:
        if line.strip() == "overflow":
            for number in range(_TOO_MANY):
                with metrics.document_processing(f"kind-{number}"):
                    pass


if __name__ == "__main__":
    main()
