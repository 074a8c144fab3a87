"""A week of a fleet's history: which alerts fire, and whether something in the history explains each.

`timeline` lists what happens and what may fire for it, `replicas` says which processes run when, `signals` generates
their samples, `evaluation` evaluates the rules with a real Prometheus, `report` compares and writes the table.
"""

from testbed.fleet.replay.evaluation import replay
from testbed.fleet.replay.report import Firing, firings, missing, table, unknown
from testbed.fleet.replay.timeline import DAY, Event, Scale, week

__all__ = ["DAY", "Event", "Firing", "Scale", "firings", "missing", "replay", "table", "unknown", "week"]
