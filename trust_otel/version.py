"""Version of the package and of the semantic conventions."""

from typing import Final

__version__: Final = "0.1.0"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
