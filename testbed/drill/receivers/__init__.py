"""Stand-ins for Slack, PagerDuty, a mail server and two webhooks, which check what they get and remember it."""

from testbed.drill.receivers.receivers import Receivers
from testbed.drill.receivers.record import Alert, Delivery, Refusal, Status

__all__ = ["Alert", "Delivery", "Receivers", "Refusal", "Status"]
