"""The in-process endpoint for scraping, with the same names and labels as the other paths to Prometheus."""
