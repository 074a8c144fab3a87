"""`python -m trust_otel.stack`: the same commands as `trust-otel stack`."""

from trust_otel.stack.commands import stack

stack(prog_name="trust-otel stack")
