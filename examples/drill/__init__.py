"""The fire drill: everything goes wrong that an alert is about, in the running stack, and the right people are told."""

import os

# The drill starts programs while calls are under way, and gRPC's care for forks would complain of each. Read at import.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
