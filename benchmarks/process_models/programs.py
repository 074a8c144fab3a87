"""Programs without a server, which record events in several processes.

Each ends its child processes, prints the number of events, and ends itself when its standard input is closed.
"""

from __future__ import annotations

from textwrap import dedent

_CHILDREN = 4
_EVENTS = 50
_FORKS = 20

_HEAD = """
import multiprocessing, os, subprocess, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from application import record

def work(times):
    for _ in range(times):
        record()

def waits(times):
    work(times)
    time.sleep(60)

def finish(events):
    print("SENT", events, flush=True)
    sys.stdin.read()
"""


def _program(body: str) -> str:
    indented = dedent(body).strip().replace("\n", "\n    ")
    return f'{_HEAD}\nif __name__ == "__main__":\n    {indented}\n'


def _started(method: str) -> str:
    return _program(f"""
        context = multiprocessing.get_context("{method}")
        children = [context.Process(target=work, args=({_EVENTS},)) for _ in range({_CHILDREN})]
        for child in children:
            child.start()
        work({_EVENTS})
        for child in children:
            child.join()
        assert not any(child.exitcode for child in children), [child.exitcode for child in children]
        finish({_EVENTS * (_CHILDREN + 1)})
    """)


def _forked_while(meanwhile: str) -> str:
    """Fork while other threads of the parent do something; the children run `atexit`."""
    return _program(f"""
        recorded, stopped = [], threading.Event()

        def meanwhile():
            own = 0
            while not stopped.is_set():
                {meanwhile}
            recorded.append(own)

        threads = [threading.Thread(target=meanwhile) for _ in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for _ in range({_FORKS}):
            time.sleep(0.02)
            child = os.fork()
            if not child:
                work({_EVENTS})
                sys.exit(0)
            children.append(child)
        stopped.set()
        for thread in threads:
            thread.join()
        work({_EVENTS})
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        finish(sum(recorded) + {_EVENTS * (_FORKS + 1)})
    """)


PROGRAMS: dict[str, str] = {
    "multiprocessing fork": _started("fork"),
    "multiprocessing spawn": _started("spawn"),
    "multiprocessing forkserver": _started("forkserver"),
    # Leaving the block terminates the workers.
    "multiprocessing Pool": _program(f"""
        with multiprocessing.get_context("fork").Pool({_CHILDREN}) as pool:
            pool.map(work, [{_EVENTS}] * {_CHILDREN}, chunksize=1)
        pool.join()
        finish({_EVENTS * _CHILDREN})
    """),
    "ProcessPoolExecutor": _program(f"""
        with ProcessPoolExecutor({_CHILDREN}) as pool:
            list(pool.map(work, [{_EVENTS}] * {_CHILDREN}))
        finish({_EVENTS * _CHILDREN})
    """),
    "multiprocessing terminate": _program(f"""
        children = [multiprocessing.get_context("fork").Process(target=waits, args=({_EVENTS},)) for _ in range(2)]
        for child in children:
            child.start()
        time.sleep(1)
        for child in children:
            child.terminate()
            child.join()
        assert [child.exitcode for child in children] == [-15, -15], [child.exitcode for child in children]
        finish({2 * _EVENTS})
    """),
    "os.fork while threads record": _forked_while("record(); own += 1"),
    "os.fork while an export runs": _forked_while("get_meter_provider().force_flush(); time.sleep(0.001)").replace(
        "import multiprocessing", "from opentelemetry.metrics import get_meter_provider\nimport multiprocessing"
    ),
    "subprocess": _program(f"""
        code = "from application import record; [record() for _ in range({_EVENTS})]"
        for _ in range(2):
            subprocess.run([sys.executable, "-c", code], check=True)
        work({_EVENTS})
        finish({3 * _EVENTS})
    """),
}
"""The source of each program, by process model."""

TASKS = 40

CELERY = f"""
import os
from celery import Celery
from application import record

folder = os.path.dirname(os.path.abspath(__file__))
queue = os.path.join(folder, "queue")
os.makedirs(queue, exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend="cache+memory://")
app.conf.broker_transport_options = dict(data_folder_in=queue, data_folder_out=queue, control_folder=queue)
app.conf.task_ignore_result = True

@app.task
def work():
    record()
    os.close(os.open(os.path.join(folder, "done-" + os.urandom(8).hex()), os.O_CREAT))

if __name__ == "__main__":
    for _ in range({TASKS}):
        work.delay()
"""
"""Tasks of Celery. Run as a program, it sends them."""
