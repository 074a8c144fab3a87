"""Operations of `cryptography` in services whose code is unchanged."""

import subprocess
import sys
from collections.abc import Callable

Launched = Callable[..., "subprocess.CompletedProcess[str]"]


_SERVICE = """
from datetime import datetime, timezone
from cryptography.x509 import CertificateBuilder, Name
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

key, name = Ed25519PrivateKey.generate(), Name([])
start, end = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2040, 1, 1, tzinfo=timezone.utc)
CertificateBuilder(name, name, key.public_key(), 1, start, end).sign(key, None)
"""


class TestProcess:
    def test_service_without_code_changes_is_measured(self, launched: Launched) -> None:
        done = launched(_SERVICE, OTEL_METRICS_EXPORTER="console")
        assert (done.returncode, done.stderr) == (0, "")
        assert '"trust.certificate.operation": "issuance"' in done.stdout

    def test_service_without_cryptography_never_loads_it(self, launched: Launched) -> None:
        done = launched("import sys; print('cryptography' in sys.modules)", OTEL_METRICS_EXPORTER="none")
        assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")

    def test_module_imported_after_uninstrument_is_not_patched(self) -> None:
        program = (
            "from trust_otel.instrumentation.cryptography import CryptographyInstrumentor as Instrumentor\n"
            "Instrumentor().instrument(); Instrumentor().uninstrument()\n"
            "from cryptography.x509 import CertificateBuilder\n"
            "print(type(vars(CertificateBuilder)['sign']).__name__)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        assert (done.stdout, done.stderr) == ("function\n", "")

    def test_module_imported_before_is_measured(self) -> None:
        program = _SERVICE.replace(
            "key, name =",
            """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from trust_otel import TrustServiceMetrics
from trust_otel.instrumentation.cryptography import CryptographyInstrumentor

reader = InMemoryMetricReader()
CryptographyInstrumentor().instrument(metrics=TrustServiceMetrics(MeterProvider([reader])))
key, name =""",
        )
        program += "print(reader.get_metrics_data().to_json())"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        assert '"trust.certificate.operation": "issuance"' in done.stdout
