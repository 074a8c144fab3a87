package queuecheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

type verdict int

const (
	sound verdict = iota
	damaged
	unknown
)

const (
	childVariable = "TRUST_OTEL_QUEUE_CHECK_FILE"
	exitDamaged   = 1
	exitUnknown   = 3

	timeLimit = 2 * time.Minute
	// What a damaged file may make the child allocate, beside as much as the file is large.
	memoryLimit = 256 << 20
	stackLimit  = 64 << 20
)

var bucketName = []byte("default")

// The check runs in a child process of the same executable, because a damaged file can end the process that reads it: an
// access beyond the end of the file, and a panic on a goroutine of the database, cannot be recovered.
func init() {
	path := os.Getenv(childVariable)
	if path == "" {
		return
	}
	go exitWithParent()
	err := check(path)
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, err)
	if isUnknown(err) {
		os.Exit(exitUnknown)
	}
	os.Exit(exitDamaged)
}

// exitWithParent ends the child when the Collector is gone, which closes the pipe.
func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(exitUnknown)
}

func checkInChild(ctx context.Context, path string) (verdict, string) {
	executable, err := os.Executable()
	if err != nil {
		return unknown, err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	child := exec.CommandContext(ctx, executable)
	// One processor and no garbage collection: what the process needs beside the file does not depend on the machine, and
	// it reaches its memory limit soon.
	child.Env = append(os.Environ(), childVariable+"="+path, "GOTRACEBACK=none", "GOMAXPROCS=1", "GOGC=off")
	// A Ctrl-C in the terminal goes to the whole process group.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := child.StdinPipe(); err != nil {
		return unknown, err.Error()
	}
	var output strings.Builder
	child.Stderr = &output
	err = child.Run()
	reason, _, _ := strings.Cut(strings.TrimSpace(output.String()), "\n")
	var exit *exec.ExitError
	switch {
	case err == nil:
		return sound, ""
	// Exited is false when a signal ended the child: somebody killed it, or it took too long.
	case !errors.As(err, &exit) || !exit.Exited() || exit.ExitCode() == exitUnknown:
		return unknown, fmt.Sprintf("%v: %s", err, reason)
	default:
		return damaged, reason
	}
}

// isUnknown returns whether the error is about the machine, or another process that uses the file, and not about the file.
func isUnknown(err error) bool {
	for _, other := range []error{berrors.ErrTimeout, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, other) {
			return true
		}
	}
	return false
}

// check does all that a queue does with its file, and writes nothing. It returns an error, panics or crashes if the file
// is damaged.
func check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	// The database takes an empty file for a new one. It never leaves one behind.
	if info.Size() == 0 {
		return errors.New("the file is empty")
	}
	debug.SetMaxStack(stackLimit)
	limit := uint64(memoryLimit + info.Size())
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	// As file_storage opens it. Without a stored list of free pages, this walks through all pages and keys.
	options := &bbolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}
	db, err := bbolt.Open(path, 0o600, options)
	if err != nil {
		return err
	}
	// Never committed: nothing reaches the file.
	transaction, err := db.Begin(true)
	if err != nil {
		return err
	}
	bucket, err := transaction.CreateBucketIfNotExists(bucketName)
	if err != nil {
		return err
	}
	return consume(bucket)
}

// consume reads and deletes every item: opening the file does not read the values, nor prepare a change of the pages.
func consume(bucket *bbolt.Bucket) error {
	var keys [][]byte
	var touched byte
	err := bucket.ForEach(func(key, value []byte) error {
		if len(key) == 0 {
			return errors.New("a key is empty")
		}
		if len(value) > 0 {
			touched += value[0] + value[len(value)-1]
		}
		keys = append(keys, key)
		return nil
	})
	for _, key := range keys {
		if err == nil {
			err = bucket.Delete(key)
		}
	}
	_ = touched
	return err
}
