"""Thresholds that remember which alert they come from, so that a site can change them in the dashboards."""

from __future__ import annotations


class SiteNumber(float):
    """The threshold of an alert, or a number computed from it.

    Formatted, it is a placeholder, which `trust_ops.site_config.dashboards` fills.

    Attributes:
        source: The alert, its severity, and the operations on its threshold.
    """

    source: str

    def __new__(cls, value: float, source: str) -> SiteNumber:
        """The value that the published dashboards have."""
        number = super().__new__(cls, value)
        number.source = source
        return number

    def __format__(self, spec: str) -> str:
        return f"<<{self.source} :{spec}>>"

    def __add__(self, other: float) -> SiteNumber:
        return SiteNumber(float(self) + other, f"{self.source} +{other!r}")

    def __sub__(self, other: float) -> SiteNumber:
        return SiteNumber(float(self) - other, f"{self.source} -{other!r}")

    def __mul__(self, other: float) -> SiteNumber:
        return SiteNumber(float(self) * other, f"{self.source} *{other!r}")

    def __truediv__(self, other: float) -> SiteNumber:
        return SiteNumber(float(self) / other, f"{self.source} /{other!r}")

    def __radd__(self, other: float) -> SiteNumber:
        return self + other

    def __rmul__(self, other: float) -> SiteNumber:
        return self * other

    def __rsub__(self, other: float) -> SiteNumber:
        return self * -1 + other

    def __rtruediv__(self, other: float) -> SiteNumber:
        raise TypeError(f"{other} cannot be divided by the threshold of a site: use a PromQL expression")
