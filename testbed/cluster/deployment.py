"""A node with the monitoring stack, and the receivers that its alerts reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.cluster.monitoring import Monitoring
from testbed.cluster.node import ADDRESS, Node
from testbed.cluster.programs import Programs, cert_manager_definitions
from testbed.cluster.stack_images import StackImages
from testbed.drill.receivers import Receivers
from trust_ops.stack.binaries import find

_EXPORTERS = {
    # No such servers: the exporters run, and say so.
    "POSTGRES_EXPORTER_URL": "postgresql://monitoring:none@postgres.trust.test:5432/postgres",
    "REDIS_EXPORTER_URL": "redis://redis.trust.test:6379",
}


@dataclass(frozen=True)
class Deployment:
    """What runs."""

    node: Node
    monitoring: Monitoring
    receivers: Receivers
    images: StackImages


@contextmanager
def deployment(folder: Path, on_progress: Callable[[str], None]) -> Iterator[Deployment]:
    """Start a node, deploy the stack, and wait until all pods are ready.

    Args:
        folder: An empty folder on a disk.
        on_progress: Receives lines about builds and steps.
    """
    with ExitStack() as running:
        programs = Programs(folder / "programs", os.environ, on_progress)
        definitions = find(cert_manager_definitions(), os.environ, on_progress)
        on_progress("Starting the node ...")
        node = running.enter_context(Node(folder / "node", programs))
        # The ports that the NetworkPolicy of Alertmanager permits.
        receivers = Receivers(ADDRESS, (443, 587))
        with node.namespaces.network():
            running.enter_context(receivers)
        variables = receivers.environment()
        images = StackImages(folder / "images", os.environ, on_progress, Path(variables.pop("SMTP_CA_FILE")))
        on_progress("Writing images ...")
        for image in images.all():
            node.import_image(image)
        on_progress("Deploying the monitoring stack ...")
        monitoring = Monitoring(node, folder / "certificates", definitions, {**variables, **_EXPORTERS})
        monitoring.deploy()
        yield Deployment(node, monitoring, receivers, images)
