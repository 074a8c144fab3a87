"""Keeps what clients send from deciding how much is kept, and persons out of the series."""
