package testrig

import (
	"os"
	"path/filepath"
	"testing"
)

// Peer is where `make peer` installs the JavaScript system that writes the
// swing-stores of the tests: the environment's VATWORKERD_PEER, or build/peer.
// Without it the test is skipped; it fails if VATWORKERD_PEER names a place
// that has no such system.
func Peer(tb testing.TB) string {
	tb.Helper()
	dir, missing := os.Getenv("VATWORKERD_PEER"), tb.Fatalf
	if dir == "" {
		dir, missing = filepath.Join(BuildDir(tb), "peer"), tb.Skipf
	}
	for _, path := range []string{
		"@agoric/swingset-vat/package.json",
		"better-sqlite3/build/Release/better_sqlite3.node",
		"@agoric/xsnap/xsnap-native/xsnap/build/bin/lin/release/xsnap-worker",
	} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", path)); err != nil {
			missing("this test needs the JavaScript system in %s (%v); run: make peer, or set VATWORKERD_PEER", dir, err)
		}
	}
	return dir
}
