module trust-otel-cluster-pause

go 1.25
