"""The causes of the incidents in the replayed week, as `trust-otel explain` names them."""

from __future__ import annotations

from typing import Final

from trust_ops.explain.events import INSTANCE, VERSION

CAUSES: Final = {
    "a release answers a quarter of the requests with 500, until the rollback": (VERSION, "1.1.0"),
    "the database is slow: a query without an index": ("trust_db_client_slow_operations_total", ""),
    "Vault is sealed: nothing can be signed": ("trust_dependency_name", "vault"),
    "one address guesses passwords": ("client_address", "203.0.113.7"),
    "a node dies, and its instances start on others": ("node", "node-02"),
    "a wrong configuration: no instance starts": ("all_instances", ""),
    "a certificate is renewed two days after its last month began": ("trust_certificate_name", "issuing-ca"),
    "an instance is killed: out of memory": (INSTANCE, None),
    "a compliance check fails": ("trust_compliance_control", "signature_policy"),
}
"""By name of the event: label and value, or metric; the value None is that of the alert's label."""
