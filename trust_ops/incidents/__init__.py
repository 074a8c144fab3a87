"""Incident management: what Alertmanager reports, who has taken it, and the numbers for reviews."""
