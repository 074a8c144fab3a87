"""Grafana's variables in queries and addresses."""

import pytest

from tools.checks.promql import PromqlError, Selector, parse
from tools.checks.variables import as_sent, filled, variables_in, with_filters


def test_variables_are_named_however_they_are_written() -> None:
    text = "$service ${environment:queryparam} ${__data.fields.Name} ${__url_time_range} $1 $"
    assert list(variables_in(text)) == ["service", "environment", "__data", "__url_time_range"]


def test_longer_names_are_not_taken_for_shorter_ones() -> None:
    assert filled("$__range_s $__range $__rate_interval $interval") == "3601 3601s 61s 15s"


def test_filters_have_several_values_as_grafana_writes_them() -> None:
    assert filled('a{service_name=~"$service"}') == 'a{service_name=~"signer|validator"}'
    parse(filled('a{service_instance_id=~"${instance}"}'))


def test_filters_can_be_kept_as_they_are_written() -> None:
    expression = with_filters('a{service_name=~"$service"}')
    assert isinstance(expression, Selector)
    assert expression.matchers[0].value == "$service"


def test_a_query_is_sent_for_what_is_shown_in_every_environment() -> None:
    sent = as_sent(
        'rate(a{service_name=~"$service", deployment_environment_name=~"$environment"}[$__rate_interval]) * $__range_s',
        seconds=3600,
        step_seconds=15,
        service="signer",
    )
    assert sent == 'rate(a{service_name=~"signer", deployment_environment_name=~".*"}[60s]) * 3600'


def test_unknown_variables_stay_and_are_no_promql() -> None:
    with pytest.raises(PromqlError):
        parse(filled("rate(a[$__window])"))
