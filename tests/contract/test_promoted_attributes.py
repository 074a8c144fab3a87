"""Resource attributes that are labels, on each path to Prometheus."""

import re
from pathlib import Path

import yaml

from trust_otel.semconv.resource import PROMOTED

_ROOT = Path(__file__).parents[2]


def test_prometheus_promotes_the_endpoints_attributes() -> None:
    configuration = yaml.safe_load((_ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    assert tuple(configuration["otlp"]["promote_resource_attributes"]) == PROMOTED


def test_collector_promotes_the_endpoints_attributes() -> None:
    configuration = yaml.safe_load((_ROOT / "collector" / "local.yaml").read_text())
    statements = configuration["processors"]["transform/promote_resource_attributes"]["metric_statements"]
    copy = re.compile(r'set\(datapoint\.attributes\["(.+)"\], resource\.attributes\["(.+)"\]\)')
    copies = [match.groups() for statement in statements if (match := copy.fullmatch(statement))]
    assert len(copies) == len(statements)
    assert copies == [(name, name) for name in PROMOTED]
