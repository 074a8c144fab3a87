"""`make pictures`: the dashboards as a browser shows them, over a service with everything that it depends on."""
