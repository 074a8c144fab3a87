"""Fixtures of tests with a real Collector and Prometheus, imported by their conftest files."""

from collections.abc import Generator, Iterator

import pytest

from trust_ops.stack import Addresses, PrometheusClient, Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running Collector and Prometheus in a temporary folder. A test that stops one restarts it."""
    with Stack(tmp_path_factory.mktemp("stack"), on_progress=print) as running:
        running.up()
        yield running


@pytest.fixture(scope="module")
def addresses(stack: Stack) -> Addresses:
    found = stack.addresses()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def prometheus(addresses: Addresses) -> Iterator[PrometheusClient]:
    with PrometheusClient(addresses.prometheus) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the components' logs to the report of a failed test."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        for component in stack.status():
            report.sections.append((f"log of {component.name}", stack.logs(component.name, lines=30)))
    return report
