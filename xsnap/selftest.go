package xsnap

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// SelfTest starts a worker on a fresh machine, lets it evaluate the image's
// bundles, and returns the hex sha256 of its heap: that of the image's base
// snapshot. It takes most of a second. Of the options MeterLimit and From are not
// heeded. If ctx ends, the worker is killed.
func SelfTest(ctx context.Context, image Image, o StartOptions) (heapSHA256 string, err error) {
	spawner, err := NewSpawner()
	if err != nil {
		return "", fmt.Errorf("cannot test engine %s: %w", image.Engine.Path, err)
	}
	defer spawner.Close()
	stop := func() bool { return true }
	o.Started = func(kill func()) { stop = context.AfterFunc(ctx, kill) }
	defer func() { stop() }()
	hash, err := spawner.writeBase(image, o, io.Discard)
	if err != nil {
		return "", fmt.Errorf("cannot test engine %s: %w", image.Engine.Path, err)
	}
	return hash, nil
}

// KnownHeap is what SelfTest returns for an image that does what it should, or "":
// then nobody has written it down. It depends on the bundles and on the version of
// XS, but on no compiler, on no system and on neither kind of engine.
func KnownHeap(image Image) string {
	for _, known := range knownHeaps() {
		if known.lockdown == image.Lockdown.SHA256 && known.supervisor == image.Supervisor.SHA256 && slices.Contains(known.versions, image.Engine.Version) {
			return known.heap
		}
	}
	return ""
}

type knownHeap struct {
	versions             []string // of engines
	lockdown, supervisor string   // hex sha256
	heap                 string
}

// knownHeaps are of the packages that xsnap/npm pins.
func knownHeaps() []knownHeap {
	return []knownHeap{{
		versions:   []string{"xsnap 0.15.0 (XS 13.3.0)", "xsnap-native 0.15.0 (XS 13.3.0)"},
		lockdown:   "40a8ea620c16222d0aba5c07a9d2e549c959b702820529fdbcad5a649602ded5",
		supervisor: "4751467ce397e39f6445d34eab978d5f7d317f41dba9952b4c6fbbfd49fb9894",
		heap:       "3f76f2fa3075cb5f0fa780260dd0ce84f0b402e5ac1dbdcf2bf872253363e839",
	}}
}
