"""Static checks of PromQL in rules, dashboards and runbooks against the known metrics and labels."""
