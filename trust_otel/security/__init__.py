"""Client addresses, countries, threat feeds, heavy hitters, and detectors of suspicious activity."""
