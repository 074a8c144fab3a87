"""Grafana variables in queries and URLs."""

import pytest

from tools.checks.promql import PromqlError, Selector, parse
from tools.checks.variables import as_sent, filled, variables_in, with_filters


def test_variables_are_found_in_every_notation() -> None:
    text = "$service ${environment:queryparam} ${__data.fields.Name} ${__url_time_range} $1 $"
    assert list(variables_in(text)) == ["service", "environment", "__data", "__url_time_range"]


def test_variables_with_a_common_prefix_are_distinguished() -> None:
    assert filled("$__range_s $__range $__rate_interval $interval") == "3601 3601s 61s 15s"


def test_multi_value_variables_are_formatted_as_in_grafana() -> None:
    assert filled('a{service_name=~"$service"}') == 'a{service_name=~"signer|validator"}'
    parse(filled('a{service_instance_id=~"${instance}"}'))


def test_filter_variables_can_be_kept() -> None:
    expression = with_filters('a{service_name=~"$service"}')
    assert isinstance(expression, Selector)
    assert expression.matchers[0].value == "$service"


def test_a_sent_query_selects_one_service_in_one_environment() -> None:
    sent = as_sent(
        'rate(a{service_name=~"$service", deployment_environment_name="$environment"}[$__rate_interval]) * $__range_s',
        seconds=3600,
        step_seconds=15,
        environment="staging",
        service="signer",
    )
    assert sent == 'rate(a{service_name=~"signer", deployment_environment_name="staging"}[60s]) * 3600'


def test_unknown_variables_are_kept_and_are_not_promql() -> None:
    with pytest.raises(PromqlError):
        parse(filled("rate(a[$__window])"))
