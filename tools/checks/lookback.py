"""How far queries look back."""

from __future__ import annotations

from tools.checks.promql import Expression, PromqlError, Range, Selector, Subquery, parts


def lookback(expression: Expression) -> float:
    """Seconds from the evaluation to the oldest sample that the expression reads, without the range of a graph.

    Raises:
        PromqlError: The expression reads samples of a fixed time.
    """
    if isinstance(expression, Selector):
        return _offset(expression)
    if isinstance(expression, Range):
        return expression.seconds + lookback(expression.selector)
    if isinstance(expression, Subquery):
        return expression.seconds + _offset(expression) + lookback(expression.argument)
    return max((lookback(part) for part in parts(expression)), default=0)


def _offset(expression: Selector | Subquery) -> float:
    if expression.at not in (None, "end()"):
        raise PromqlError(f"@ {expression.at} may be longer ago than Prometheus keeps samples")
    return expression.offset
