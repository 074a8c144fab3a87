"""Fake Slack, PagerDuty, mail server and webhooks, which validate and record all notifications."""

from testbed.drill.receivers.receivers import Receivers
from testbed.drill.receivers.record import Alert, Delivery, Rejection, Status

__all__ = ["Alert", "Delivery", "Receivers", "Rejection", "Status"]
