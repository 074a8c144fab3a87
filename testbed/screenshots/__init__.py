"""`make pictures`: screenshots of the dashboards, with a service and all its dependencies running."""
