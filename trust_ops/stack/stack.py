"""The local stack: real components as ordinary processes in one directory."""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from trust_ops.private_files import ForeignFolderError, private_folder
from trust_ops.stack import processes, targets
from trust_ops.stack.binaries import find
from trust_ops.stack.components import COMPONENTS, Component, StartContext
from trust_ops.stack.errors import ComponentError
from trust_ops.stack.inputs import Inputs
from trust_ops.stack.locks import exclusive
from trust_ops.stack.recipes import binaries
from trust_ops.stack.state import Addresses, ComponentStatus, ProcessRecord, State, load, save
from trust_ops.stack.supervisor import Supervisor

_POLL_SECONDS = 0.05
_NO_INPUTS = Inputs()
_ENDING = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}


def _silent(_: str) -> None:
    """Ignore progress lines."""


class Stack:
    """Components that run in a directory, with their data, logs and state (`stack.json`).

    As a context manager, it stops the components it started on exit; `up()` starts them. Unless
    `detached`, they are also stopped when this process dies or the object is garbage-collected.

    One directory is one stack: another `Stack` on the same directory, in any process, sees the same
    components.
    """

    def __init__(
        self,
        directory: Path,
        *,
        components: Sequence[str] = ("collector", "prometheus"),
        inputs: Inputs = _NO_INPUTS,
        on_progress: Callable[[str], None] = _silent,
        detached: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Starts nothing yet. `on_progress` is called with a line of text per step.

        Raises ValueError for an unknown component, ComponentError when a required input is
        missing.
        """
        unknown = set(components) - set(COMPONENTS)
        if unknown:
            raise ValueError(f"unknown components {sorted(unknown)}; known: {sorted(COMPONENTS)}")
        self.directory = directory.resolve()
        self._components = [component for name, component in COMPONENTS.items() if name in components]
        for component in self._components:
            component.check(inputs)
        self._inputs = inputs
        self._on_progress = on_progress
        self._detached = detached
        self._environ = environ
        self._state_file = self.directory / "stack.json"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        # Started by this object; known even if the directory is deleted.
        self._started: dict[str, ProcessRecord] = {}
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> "Stack":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._detached:
            self._stop([component for name, component in COMPONENTS.items() if name in self._started])
        self._dismiss_supervisor()

    def up(self) -> Addresses:
        """Start what is not running, wait until everything is healthy, and return the addresses.

        Missing executables are built first, which takes minutes once. A directory keeps its
        addresses as long as their ports are free. Raises BinaryUnavailable, or ComponentError with
        the last lines of the component's log; in that case everything that this call started is
        stopped.
        """
        try:
            private_folder(self.directory)
        except ForeignFolderError as error:
            raise ComponentError(str(error)) from error
        executables = {component.name: self._find(component) for component in self._components}
        with self._locked():
            state = self._usable_state()
            self._ensure_healthy(state, executables)
        return state.addresses

    def down(self) -> None:
        """Stop every component of the directory, including those started by another process."""
        self._stop(list(COMPONENTS.values()))
        self._dismiss_supervisor()

    def started_anything(self) -> bool:
        """Whether this object has started a component, as opposed to reusing running ones."""
        return bool(self._started)

    def status(self) -> list[ComponentStatus]:
        """The status of each component; empty for a directory without a stack."""
        state = load(self._state_file)
        return [] if state is None else [self._status(state, component) for component in self._components]

    def crashed(self) -> list[str]:
        """The names of the components that exited without being stopped."""
        if load(self._state_file) is None:
            return []
        # Under the lock: a component that is just being stopped has not crashed.
        with self._locked():
            state = load(self._state_file)
            if state is None:
                return []
            known = [component for name, component in COMPONENTS.items() if name in state.processes]
            return [component.name for component in known if not self._running(state, component)]

    def addresses(self) -> Addresses | None:
        """The addresses of the stack, running or not; None when it was never started."""
        state = load(self._state_file)
        return None if state is None else state.addresses

    def start(self, name: str) -> None:
        """Start one component again, at the same address, and wait until it is healthy.

        Does nothing when it is running. Raises ComponentError when the directory has no stack yet, or
        as `up()`.
        """
        component = self._component(name)
        component.check(self._inputs)
        executable = self._find(component)
        with self._locked():
            self._ensure_healthy(self._existing_state(), {name: executable})

    def scrape(self, name: str, endpoints: Sequence[targets.Target]) -> None:
        """Let Prometheus scrape additional endpoints until the stack is stopped.

        The name determines the job: see monitoring/prometheus/prometheus.yml. A second call with the
        same name replaces the endpoints.
        """
        targets.write(self.directory, name, endpoints)

    def kill(self, name: str, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal to one component; if the signal ends processes, wait until it has exited (at most 30 s).

        Raises ComponentError when the component is not running, or has not exited in time.
        """
        component = self._component(name)
        state = self._existing_state()
        process = state.processes.get(name)
        if process is None or not self._running(state, component):
            raise ComponentError(f"{name} is not running in {self.directory}")
        processes.send(process, signal_number)
        if signal_number in _ENDING and not processes.wait(process, 30):
            raise ComponentError(f"{name} (process {process.pid}) has not exited 30 s after signal {signal_number}")
        self._reap(name)

    def stop(self, name: str) -> None:
        """Stop one component gracefully; its address stays reserved."""
        self._stop([self._component(name)])

    def restart(self, name: str) -> None:
        """Stop one component gracefully and start it again at the same address."""
        self.stop(name)
        self.start(name)

    def logs(self, name: str, lines: int = 50) -> str:
        """The last lines of a component's log; empty when it has none."""
        try:
            with self._log(self._component(name)).open(errors="replace") as log:
                return "".join(deque(log, maxlen=lines))
        except FileNotFoundError:
            return ""

    def failure(self, name: str, what: str) -> str:
        """A sentence about a component that failed, with the last lines of its log."""
        quoted = "".join(f"    {line}\n" for line in self.logs(name, 15).splitlines())
        return f"{name} {what}. Its log, {self._log(self._component(name))}, ends with:\n{quoted}"

    def _locked(self) -> AbstractContextManager[None]:
        return exclusive(
            self.directory / "stack.lock",
            lambda: self._on_progress(f"waiting for another process that uses {self.directory}"),
        )

    def _component(self, name: str) -> Component:
        if name not in COMPONENTS:
            raise ComponentError(f"there is no component {name!r}; known: {sorted(COMPONENTS)}")
        return COMPONENTS[name]

    def _find(self, component: Component) -> Path:
        return find(binaries()[component.binary], self._environ, self._on_progress)

    def _log(self, component: Component) -> Path:
        return self.directory / "logs" / f"{component.name}.log"

    def _usable_state(self) -> State:
        state = load(self._state_file)
        if state is not None:
            if any(self._running(state, component) for component in COMPONENTS.values()):
                return state
            if state.processes:
                self._on_progress(
                    "the previous stack of this directory exited without being stopped; starting a new one"
                )
        targets.clear(self.directory)
        if state is not None and state.addresses.free():
            return State(state.addresses)
        return State(Addresses.on_free_ports())

    def _existing_state(self) -> State:
        state = load(self._state_file)
        if state is None:
            raise ComponentError(f"there is no stack in {self.directory}: call up() first")
        return state

    def _running(self, state: State, component: Component) -> bool:
        self._reap(component.name)
        process = state.processes.get(component.name)
        return process is not None and processes.running(process)

    def _ensure_healthy(self, state: State, executables: Mapping[str, Path]) -> None:
        wanted = [component for name, component in COMPONENTS.items() if name in executables]
        missing = [component for component in wanted if not self._running(state, component)]
        try:
            for component in missing:
                self._launch(state, component, executables[component.name])
            for component in wanted:
                self._await_healthy(state, component)
        except BaseException:
            self._stop_locked(state, missing)
            raise

    def _launch(self, state: State, component: Component, executable: Path) -> None:
        names = frozenset(component.name for component in self._components)
        launch = component.prepare(StartContext(executable, self.directory, state.addresses, self._inputs, names))
        self._on_progress(f"starting {component.name} ({executable})")
        child = processes.start(
            launch.command,
            environment={**self._environ, **launch.environment},
            directory=self.directory,
            log=self._log(component),
        )
        process = processes.record(child.pid)
        self._children[component.name] = child
        self._started[component.name] = process
        state.processes[component.name] = process
        if not self._detached:
            self._supervise(component, process)
        save(self._state_file, state)

    def _supervise(self, component: Component, process: ProcessRecord) -> None:
        if self._supervisor is None:
            self._supervisor = Supervisor()
        self._supervisor.watch(process, component.stop_seconds)

    def _await_healthy(self, state: State, component: Component) -> None:
        deadline = time.monotonic() + component.start_seconds
        while not component.healthy(state.addresses):
            if not self._running(state, component):
                raise ComponentError(self.failure(component.name, "exited while starting"))
            if time.monotonic() > deadline:
                raise ComponentError(
                    self.failure(component.name, f"is not healthy after {component.start_seconds:.0f} s")
                )
            time.sleep(_POLL_SECONDS)

    def _stop(self, components: Sequence[Component]) -> None:
        if not self.directory.exists():
            self._stop_locked(None, components)
            return
        with self._locked():
            self._stop_locked(load(self._state_file), components)

    def _stop_locked(self, state: State | None, components: Sequence[Component]) -> None:
        # In reverse start order: the Collector flushes its queue while Prometheus is still running.
        for component in reversed(components):
            for process in self._known(state, component):
                if processes.running(process):
                    self._on_progress(f"stopping {component.name}")
                    processes.stop(process, component.stop_seconds)
            self._reap(component.name)
        if state is not None:
            for component in components:
                state.processes.pop(component.name, None)
            save(self._state_file, state)

    def _known(self, state: State | None, component: Component) -> set[ProcessRecord]:
        recorded = None if state is None else state.processes.get(component.name)
        started = self._started.get(component.name)
        return {process for process in (recorded, started) if process is not None}

    def _reap(self, name: str) -> None:
        child = self._children.get(name)
        if child is not None and child.poll() is not None:
            del self._children[name]

    def _dismiss_supervisor(self) -> None:
        if self._supervisor is not None:
            self._supervisor.dismiss()
            self._supervisor = None

    def _status(self, state: State, component: Component) -> ComponentStatus:
        running = self._running(state, component)
        return ComponentStatus(
            name=component.name,
            running=running,
            healthy=running and component.healthy(state.addresses),
            pid=state.processes[component.name].pid if running else None,
            address=component.address(state.addresses),
            log=self._log(component),
        )
