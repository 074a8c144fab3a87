module trust-otel/queuecheck

go 1.25.0

require (
	go.etcd.io/bbolt v1.5.0
	go.opentelemetry.io/collector/component v1.61.0
	go.opentelemetry.io/collector/extension v1.61.0
	go.opentelemetry.io/otel/metric v1.44.0
	go.uber.org/zap v1.28.0
)
