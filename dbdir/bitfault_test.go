package dbdir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vatworkerd/kernelhost"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// verifyTables is Verify without the heap snapshots, which take most of its time.
func verifyTables(dir string) (Verification, error) {
	s, err := Open(dir)
	if err != nil {
		return Verification{}, err
	}
	v := &verifier{Audit: store.NewAudit(context.Background(), nil), State: s}
	err = v.checks(v.ofTables())
	return v.verification(), errors.Join(err, s.Close())
}

// tablesOf gives a hash of all that both databases hold, but for what is local to
// a machine, and the activity hashes, which only other nodes can check.
func tablesOf(t testing.TB, dir string) string {
	t.Helper()
	hash := sha256.New()
	for _, file := range []string{supervisor.DatabaseFile, kernelhost.DatabaseFile} {
		db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, file)+"?immutable=1")
		must(t, err)
		for _, query := range []string{
			"SELECT key, value FROM kv", "SELECT * FROM transcriptItems", "SELECT * FROM transcriptSpans",
			"SELECT vatID, snapPos, inUse, hash, uncompressedSize, incarnation FROM snapshots",
			"SELECT * FROM bundles", "SELECT key, value FROM meta WHERE key <> 'activityHash'", "SELECT * FROM undo", "SELECT * FROM prepared", "SELECT * FROM outbox",
		} {
			rows, err := db.Query(query + " ORDER BY 1, 2")
			must(t, err)
			columns, err := rows.Columns()
			must(t, err)
			for rows.Next() {
				values, places := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
				for i := range values {
					places[i] = &values[i]
				}
				must(t, rows.Scan(places...))
				for _, v := range values {
					fmt.Fprintf(hash, "%d:%s", len(v), v)
				}
			}
			must(t, errors.Join(rows.Err(), rows.Close()))
		}
		must(t, db.Close())
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// isTyped wants an error that says what is wrong with a file.
func isTyped(err error) bool {
	var corrupt *store.CorruptError
	var foreign *store.ForeignFileError
	var newer *store.NewerSchemaError
	var empty *store.EmptyError
	var io *store.IOError
	return errors.As(err, &corrupt) || errors.As(err, &foreign) || errors.As(err, &newer) || errors.As(err, &empty) || errors.As(err, &io)
}

// seeded gives dice whose seed is logged.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewSource(seed))
}

// A bit is flipped in a page of a database, in page after page. Either that is
// found, or the bit means nothing: all tables are as before.
func TestFlippedPages(t *testing.T) {
	const pageBytes = 4096
	dir, dice := copied(t), seeded(t)
	want := tablesOf(t, dir)
	tried, refused, named, unused := 0, 0, 0, 0
	for file, n := range map[string]int{supervisor.DatabaseFile: trials(t, 30), kernelhost.DatabaseFile: trials(t, 10)} {
		path := filepath.Join(dir, file)
		sound, err := os.ReadFile(path)
		must(t, err)
		pages := len(sound) / pageBytes
		for i := range n {
			at := i*pages/n%pages*pageBytes + dice.Intn(pageBytes)
			bad := bytes.Clone(sound)
			bad[at] ^= 1 << dice.Intn(8)
			must(t, os.WriteFile(path, bad, 0o600))
			tried++
			v, err := verifyTables(dir)
			switch {
			case len(v.Problems) > 0:
				named++ // in a schema it may also keep the verification from its end
			case err != nil:
				refused++
				if !isTyped(err) {
					t.Errorf("%s, byte %d: %v", file, at, err)
				}
			default:
				unused++
				if tablesOf(t, dir) != want {
					t.Errorf("%s, byte %d: a change that is not found", file, at)
				}
			}
		}
		must(t, os.WriteFile(path, sound, 0o600))
	}
	t.Logf("%d bits flipped: %d refused, %d named, %d without a meaning", tried, refused, named, unused)
}

// A bit that is flipped in a value, which SQLite does not notice, is found for
// ever after, also when the value has been overwritten since.
func TestFlippedValueStaysFound(t *testing.T) {
	c, dir := courseOf(t), copied(t)
	path := filepath.Join(dir, supervisor.DatabaseFile)
	data, err := os.ReadFile(path)
	must(t, err)
	// What a vat has used, which its next delivery writes anew; with copies that
	// pages have left over.
	values := regexp.MustCompile(`use\.v1\{"deliveries":[0-9]*([0-9])\b`).FindAllSubmatchIndex(data, -1)
	if len(values) == 0 {
		t.Fatal("there is no such value")
	}
	for _, value := range values {
		data[value[2]] ^= 1
	}
	must(t, os.WriteFile(path, data, 0o600))
	for _, when := range []string{"before", "after"} {
		v := verify(t, dir)
		if v.OK() || v.Problems[0].Kind != store.KindState {
			t.Errorf("%s the value is overwritten: problems %v", when, v.Problems)
		}
		if _, err := c.trial(t, dir, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// standingCopy copies a directory in use, between blocks, as it would be found
// after a power failure: the logs are there, their index and the locks are not.
func standingCopy(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "db")
	must(t, os.MkdirAll(filepath.Join(to, supervisor.SnapshotDir), 0o700))
	paths, err := filepath.Glob(filepath.Join(dir, supervisor.SnapshotDir, "*"))
	must(t, err)
	for _, name := range []string{supervisor.DatabaseFile, kernelhost.DatabaseFile} {
		paths = append(paths, filepath.Join(dir, name), filepath.Join(dir, name+"-wal"))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		must(t, err)
		name, err := filepath.Rel(dir, path)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, name), data, 0o600))
	}
	return to
}

// The write-ahead logs are cut, and bits of them flipped. What is left is a state
// of the course, or two databases that do not fit together, which is said.
func TestTornLogs(t *testing.T) {
	c, dice := courseOf(t), seeded(t)
	dir := copied(t)
	k := openKernel(t, dir)
	logs := [2]string{supervisor.DatabaseFile + "-wal", kernelhost.DatabaseFile + "-wal"}
	var grown [][2]int // both, before the first block and after each
	note := func() {
		grown = append(grown, [2]int{int(sizeOf(t, filepath.Join(dir, logs[0]))), int(sizeOf(t, filepath.Join(dir, logs[1])))})
	}
	for note(); k.Height() < c.end; note() {
		round(t, k)
	}
	torn := standingCopy(t, dir)
	must(t, k.Close())
	tried, sound, apart := 0, map[int64]int{}, 0
	look := func(what string) {
		t.Helper()
		tried++
		v, err := verifyTables(torn)
		switch {
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case len(v.Problems) == 0:
			sound[v.Height]++
			if v.ActivityHash+" "+v.StateHash != c.hashes[v.Height] {
				t.Errorf("%s: height %d has other hashes than it had", what, v.Height)
			}
		case v.Problems[0].Kind == kernelhost.KindPair && strings.Contains(v.Problems[0].What, "not of the same history"):
			apart++
		default:
			t.Errorf("%s: %v", what, v.Problems)
		}
	}
	look("whole")
	var whole [2][]byte
	for i, name := range logs {
		data, err := os.ReadFile(filepath.Join(torn, name))
		must(t, err)
		whole[i] = data
	}
	put := func(log int, data []byte) { must(t, os.WriteFile(filepath.Join(torn, logs[log]), data, 0o600)) }
	for log := range logs {
		for i, n := 0, trials(t, 10); i < n; i++ {
			cut := i*len(whole[log])/n + dice.Intn(2)*dice.Intn(len(whole[log])/n)
			put(log, whole[log][:cut])
			look(fmt.Sprintf("%s cut to %d bytes", logs[log], cut))
			flipped, at := bytes.Clone(whole[log]), dice.Intn(len(whole[log]))
			flipped[at] ^= 1 << dice.Intn(8)
			put(log, flipped)
			look(fmt.Sprintf("%s flipped at %d", logs[log], at))
		}
		put(log, whole[log])
	}
	// Both are cut within the same block, as when the power fails in it.
	for i, n := 0, trials(t, 16); i < n; i++ {
		block := i % faultRounds
		for log := range logs {
			cut := grown[block][log] + dice.Intn(grown[block+1][log]-grown[block][log])
			put(log, whole[log][:cut])
		}
		look(fmt.Sprintf("both cut in block %d", block))
	}
	for log := range logs {
		put(log, whole[log])
	}
	t.Logf("%d torn logs: %v sound by height, %d databases that do not fit", tried, sound, apart)
	c.goOn(t, torn, c.end)
}

// Heap snapshots and their base are cut, flipped and lost: the vats start from
// earlier ones, or are replayed, and nothing differs.
func TestDamagedHeaps(t *testing.T) {
	c := courseOf(t)
	flip := func(part int) func(path string) error {
		return func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)*part/8] ^= 1
			return os.WriteFile(path, data, 0o600)
		}
	}
	for name, damage := range map[string]struct {
		files string
		do    func(path string) error
	}{
		"all cut":      {"*.delta.zst", func(path string) error { return os.Truncate(path, 1000) }},
		"all flipped":  {"*.delta.zst", flip(5)},
		"base flipped": {"base-*", flip(3)},
		"all lost":     {"*", os.Remove},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copied(t)
			files, err := filepath.Glob(filepath.Join(dir, supervisor.SnapshotDir, damage.files))
			must(t, err)
			for _, path := range files {
				must(t, damage.do(path))
			}
			if v := verify(t, dir); v.OK() {
				t.Error("nothing was found")
			}
			if _, err := c.trial(t, dir, nil); err != nil {
				t.Fatal(err)
			}
			v, err := verifyTables(dir)
			must(t, err)
			wantProblems(t, v)
			if got := v.ActivityHash + " " + v.StateHash; got != c.hashes[c.end] {
				t.Errorf("at the end: %s\nwant %s", got, c.hashes[c.end])
			}
		})
	}
}
