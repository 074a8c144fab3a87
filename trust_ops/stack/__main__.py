"""`python -m trust_ops.stack`: the same commands as `trust-otel stack`."""

from trust_ops.stack.commands import stack

stack(prog_name="trust-otel stack")
