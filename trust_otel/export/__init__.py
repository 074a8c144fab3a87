"""Readers, exporters, and the shutdown of the SDK."""
