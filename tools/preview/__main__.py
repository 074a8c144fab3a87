"""`python -m tools.preview --prometheus http://127.0.0.1:9090`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tools.preview.building import BuildFailed
from tools.preview.server import DASHBOARDS, Preview


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tools.preview", description="Preview the dashboards in a browser.")
    parser.add_argument("--prometheus", required=True, metavar="URL", help="Prometheus, such as http://127.0.0.1:9090")
    parser.add_argument("--port", type=int, default=0, help="loopback port; by default any free port")
    parser.add_argument(
        "--dashboards", type=Path, default=DASHBOARDS, metavar="FOLDER", help="folder of dashboard files"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Preview(
            arguments.prometheus, dashboards=arguments.dashboards, port=arguments.port, on_progress=_print
        ) as preview:
            _print(f"The dashboards are at {preview.url} (Ctrl+C to stop).")
            signal.pause()
    except KeyboardInterrupt:
        pass
    except BuildFailed as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"The preview cannot listen on port {arguments.port}: {error.strerror}")


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - output of a command


if __name__ == "__main__":
    main()
