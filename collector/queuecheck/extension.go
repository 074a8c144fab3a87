// Package queuecheck is an extension of the Collector that checks the files of persistent queues before they are opened.
//
// A damaged file (after a power cut, or on a failing disk) makes file_storage return an error, panic, or read memory
// that is not there. The first stops the Collector at every start; the others do so even with `recreate: true`, because
// they happen on goroutines of the database that nobody recovers. This extension sets such a file aside, so that the
// Collector starts with an empty queue, and reports how many files were set aside.
package queuecheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

const (
	damagedInfix = ".damaged-"
	// What is kept for inspection: the newest file, and older ones within both limits.
	maxDamagedFiles = 3
	maxDamagedBytes = 1 << 30
)

// The names that file_storage gives to its files: kind, type and name of the component, or their hash if that is too long.
var queueFile = regexp.MustCompile(`^((receiver|processor|exporter|extension|connector|other)_|[0-9a-f]{64}$)`)

// Config of the extension.
type Config struct {
	// Directory is the directory of the file_storage extension.
	Directory string `mapstructure:"directory"`
}

// Validate returns an error if the directory is missing.
func (c *Config) Validate() error {
	if c.Directory == "" {
		return errors.New("directory must be set to the directory of the file_storage extension")
	}
	return nil
}

// NewFactory returns the factory of the extension `queue_check`.
func NewFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("queue_check"),
		func() component.Config { return &Config{} },
		create,
		component.StabilityLevelStable,
	)
}

type queueCheck struct {
	directory string
	logger    *zap.Logger
	meter     metric.MeterProvider
}

func create(_ context.Context, settings extension.Settings, config component.Config) (extension.Extension, error) {
	return &queueCheck{config.(*Config).Directory, settings.Logger, settings.MeterProvider}, nil
}

// Start checks every queue file. Extensions start before the exporters, which open their queues.
func (q *queueCheck) Start(ctx context.Context, _ component.Host) error {
	if err := q.observe(); err != nil {
		return err
	}
	entries, err := os.ReadDir(q.directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot list the queue files: %w", err)
	}
	for _, entry := range entries {
		if !queueFile.MatchString(entry.Name()) || strings.Contains(entry.Name(), damagedInfix) {
			continue
		}
		if err := q.checkFile(ctx, filepath.Join(q.directory, entry.Name())); err != nil {
			return err
		}
	}
	q.removeOldest()
	return nil
}

// Shutdown does nothing.
func (*queueCheck) Shutdown(context.Context) error { return nil }

func (q *queueCheck) checkFile(ctx context.Context, path string) error {
	verdict, reason := checkInChild(ctx, path)
	switch verdict {
	case sound:
		return nil
	case unknown:
		q.logger.Warn("Cannot check the queue file; it stays in use", zap.String("file", path), zap.String("reason", reason))
		return nil
	}
	aside := path + damagedInfix + time.Now().UTC().Format("20060102T150405.000Z")
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("queue file %s is damaged (%s) and cannot be renamed; move it away by hand: %w", path, reason, err)
	}
	q.logger.Error("The queue file is damaged: it was set aside, and the queue starts empty",
		zap.String("file", path), zap.String("set_aside", aside), zap.String("reason", reason))
	return nil
}

// observe reports the number of files that are kept, until somebody has looked at them and removed them.
func (q *queueCheck) observe() error {
	_, err := q.meter.Meter("trust-otel/queuecheck").Int64ObservableGauge(
		"otelcol_queue_damaged_files",
		metric.WithDescription("Damaged queue files that were set aside and are still in the directory."),
		metric.WithUnit("{files}"),
		metric.WithInt64Callback(func(_ context.Context, observer metric.Int64Observer) error {
			observer.Observe(int64(len(q.damagedFiles())))
			return nil
		}),
	)
	return err
}

// damagedFiles returns what was set aside, the newest first.
func (q *queueCheck) damagedFiles() []string {
	// The only error is a malformed pattern.
	found, _ := filepath.Glob(filepath.Join(escapeGlob(q.directory), "*"+damagedInfix+"*"))
	slices.SortFunc(found, func(one, other string) int { return strings.Compare(timeIn(other), timeIn(one)) })
	return found
}

func timeIn(name string) string {
	return name[strings.LastIndex(name, damagedInfix):]
}

var globMeta = regexp.MustCompile(`[*?\[\\]`)

func escapeGlob(path string) string {
	return globMeta.ReplaceAllString(path, `\$0`)
}

func (q *queueCheck) removeOldest() {
	var bytes int64
	for index, path := range q.damagedFiles() {
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
		if index == 0 || index < maxDamagedFiles && bytes <= maxDamagedBytes {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			q.logger.Warn("Cannot remove an old damaged queue file", zap.Error(err))
			continue
		}
		q.logger.Info("Removed an old damaged queue file", zap.String("file", path))
	}
}
