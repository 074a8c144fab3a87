"""No counts are lost when the Collector is killed or Prometheus is down while the service runs."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.service import TrustService
from tests.support.services import arrived, start_load, telemetry
from trust_ops.stack import Addresses, Stack


@pytest.fixture
def service(addresses: Addresses, tmp_path: Path) -> Iterator[TrustService]:
    name = f"service.instance.id={tmp_path.name}"
    with TrustService(tmp_path, telemetry(addresses, OTEL_RESOURCE_ATTRIBUTES=name)) as running:
        yield running


def _own(expected_totals: dict[str, float], service_id: str) -> dict[str, float]:
    """The totals with the labels of this test's service."""
    label = f'service_instance_id=~"{service_id}-.+"'
    return {
        selection.replace("{", f"{{{label},", 1) if "{" in selection else f"{selection[:-1]}{{{label}}})": total
        for selection, total in expected_totals.items()
    }


async def _with_interruption(service: TrustService, stack: Stack, component: str, seconds: float) -> dict[str, float]:
    traffic = asyncio.create_task(start_load(service, seconds=seconds + 10))
    await asyncio.sleep(4)
    await asyncio.to_thread(stack.kill, component, signal.SIGKILL)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(stack.start, component)
    report = await traffic
    assert (report.unanswered, report.unexpected) == (0, {})
    return report.expected_totals


@pytest.mark.parametrize(("component", "seconds"), [("collector", 3), ("prometheus", 60)])
def test_killing_a_component_loses_no_count(
    stack: Stack, addresses: Addresses, service: TrustService, tmp_path: Path, component: str, seconds: float
) -> None:
    expected_totals = asyncio.run(_with_interruption(service, stack, component, seconds))
    assert arrived(addresses, _own(expected_totals, tmp_path.name)).different == []
