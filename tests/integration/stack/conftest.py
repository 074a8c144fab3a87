"""A fake component that needs no build and answers 200 on its configured port, as the real ones do."""

import stat
import sys
import textwrap
from pathlib import Path

import pytest

from trust_ops.stack.recipes import binaries

_FAKE = """\
    #!{python}
    import http.server, os, sys

    listen = [b.split(":")[-1] for a, b in zip(sys.argv, sys.argv[1:]) if a == "-web.listen-address"]
    listen += [a.split(":")[-1] for a in sys.argv if a.startswith("--web.listen-address=")]
    port = int(listen[0] if listen else os.environ["TRUST_OTEL_STACK_COLLECTOR_HEALTH_PORT"])

    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    print("listening on", port, flush=True)
    http.server.HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
    """


def script(path: Path, text: str) -> Path:
    """Write an executable file; `{python}` in the text stands for this interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).replace("{python}", sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def fake_binaries(tmp_path: Path) -> dict[str, str]:
    """An environment that replaces every component with the fake one."""
    fake = str(script(tmp_path / "fake", _FAKE))
    return {binary.variable: fake for binary in binaries().values()}
