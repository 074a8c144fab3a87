"""The interface for people."""
