"""Incident management: tracks alerts from Alertmanager, acknowledgements, and statistics for reviews."""
