"""Labels, formats and queries in alert templates."""

import pytest

from tools.checks.templates import Template


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("no template", set()),
        ("{{ $labels.a }} and {{$labels.b}}", {"a", "b"}),
        ("{{- if $labels.a -}} x {{ else if $labels.b }} y {{ end }}", {"a", "b"}),
        ('{{ if eq $labels.a "Ready" }}x{{ end }}', {"a"}),
        ('{{ or $labels.a "none" }}', {"a"}),
    ],
)
def test_labels_used_by_a_template(content: str, labels: set[str]) -> None:
    assert Template(content).labels == labels


@pytest.mark.parametrize(
    ("content", "formats"),
    [
        ("{{ $labels.a }}", []),
        ("{{ $value }}", [()]),
        ("{{ $value | humanizePercentage }}", [("humanizePercentage",)]),
        ('{{ $value | printf "%.0f" }}', [("printf",)]),
        ('{{ printf "%.1f" $value }} {{ $value }}', [("printf",), ()]),
        ("{{ if gt $value 3.0 }}many{{ end }}", []),
        ("{{ with $value }}at {{ . | humanizeTimestamp }}{{ end }}", [("humanizeTimestamp",)]),
        ("{{ with $labels.a }}{{ . }}{{ end }}", []),
    ],
)
def test_formats_of_the_value(content: str, formats: list[tuple[str, ...]]) -> None:
    assert Template(content).formats_of_value == formats


def test_queries_of_a_template() -> None:
    template = Template('{{ with query "up{job=\\"a\\"} > 0" }}{{ . | first | value }}{{ end }}{{ query `b` }}')
    assert template.queries == ['up{job="a"} > 0', "b"]
    assert not template.unknown


@pytest.mark.parametrize(
    ("content", "unknown"),
    [
        ("{{ $label.a }}", ["$label"]),
        ("{{ range $labels }}{{ end }}", ["$labels as a whole"]),
        ('{{ printf "up{x=%q}" $labels.x | query }}', ["a composed query"]),
    ],
)
def test_unsupported_template_expressions_are_listed(content: str, unknown: list[str]) -> None:
    assert Template(content).unknown == unknown
