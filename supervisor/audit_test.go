package supervisor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/store"
)

// inEveryState is a committed supervisor with vats in all states: v1 runs and
// has a snapshot, an allowance and an item that waits; v2 is paused with held
// items, v3 suspended, v4 deliberately so, v5 terminated and to be deleted, v6
// terminated and deleted, v7 static.
func inEveryState(t *testing.T) *rig {
	r := newRig(t, func(o *Options) { o.Dir, o.starter, o.Image = fastDir(t), &fakeStarter{}, fakeImage("engine0") })
	r.must(r.s.configure(pipeproto.Configure{SnapshotInitial: 3, SnapshotInterval: 5}))
	_, err := r.s.restartAll(pipeproto.RestartAll{Token: "t"})
	r.must(err)
	allowance := int64(1_000_000)
	r.createFake("v1", false, pipeproto.VatOptions{Allowance: &allowance})
	for _, vatID := range []string{"v2", "v3", "v4", "v5", "v6"} {
		r.createFake(vatID, false, pipeproto.VatOptions{})
	}
	r.createFake("v7", false, pipeproto.VatOptions{Static: true})
	for range 6 {
		for _, vatID := range []string{"v1", "v2", "v3", "v6"} {
			r.send(vatID, "incr")
		}
		r.run()
	}
	r.must(r.control(pipeproto.ReqTerminate, "v6", "test"))
	_, err = r.s.run(pipeproto.Run{CleanupBudget: pipeproto.UnlimitedCleanup})
	r.must(err)
	r.must(r.control(pipeproto.ReqPause, "v2", "test"))
	r.must(r.control(pipeproto.ReqSuspend, "v3", "test"))
	r.must(r.bar("v4", "test"))
	r.must(r.control(pipeproto.ReqTerminate, "v5", "test"))
	for _, vatID := range []string{"v1", "v2", "v2", "v4"} {
		r.send(vatID, "incr")
	}
	r.commit()
	return r
}

// problems gives what an audit of a source finds, a line each.
func problems(t *testing.T, src store.Source) []string {
	t.Helper()
	a := store.NewAudit(context.Background(), nil)
	if err := Audit(a, src); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range a.Problems() {
		lines = append(lines, string(p.Kind)+" "+p.VatID+" "+p.String())
	}
	return lines
}

// damages are things done to the database of inEveryState, and the problems
// they must give: each line begins so, and there is no other.
func damages() map[string]struct{ sql, want string } {
	record := func(vatID, set string) string {
		return "UPDATE kv SET value = json_set(value, " + set + ") WHERE key = 'vat.002." + vatID + "'"
	}
	return map[string]struct{ sql, want string }{
		"a record that is none": {"UPDATE kv SET value = '{' WHERE key = 'vat.002.v4'",
			"vat v4 vats.sqlite kv.vat.002.v4: it cannot be decoded\ncounts"},
		"a record under another key": {"UPDATE kv SET key = 'vat.003.v4' WHERE key = 'vat.002.v4'",
			"vat  vats.sqlite kv.vat.003.v4: it is the key of no vat\nkey v4 vats.sqlite kv.cleanup.\nkey v4 vats.sqlite kv.q.v4\nkey v4 vats.sqlite kv.vs.v4\nkey v4 vats.sqlite kv.qlen.v4\nkey v4 vats.sqlite kv.use.v4\nvat v4 transcript.v4: there are transcript or snapshot rows\ncounts"},
		"deliberate without flags": {record("v1", "'$.deliberate', json('true')"),
			"vat v1 vats.sqlite kv.vat.002.v1: it is deliberate without"},
		"terminated and paused": {record("v6", "'$.paused', json('true')"),
			"vat v6 vats.sqlite kv.vat.002.v6: its flags do not fit its state, terminated"},
		"a reason without its flag": {record("v1", "'$.pauseReason', 'why'"),
			"vat v1 vats.sqlite kv.vat.002.v1: it has a reason to be paused"},
		"a flag": {record("v1", "'$.paused', json('true')"),
			"queue v1 vats.sqlite kv.q.v1.2.\ncounts"},
		"no admin key": {record("v1", "'$.adminKey', ''"), "vat v1 vats.sqlite kv.vat.002.v1: it has no admin key"},
		"an epoch to come": {record("v1", "'$.epoch', 5"),
			"vat v1 vats.sqlite kv.vat.002.v1: its restart epoch is 5, the present one 1"},
		"an unknown policy": {record("v1", "'$.options.fatalPolicy', 'ignore'"),
			"vat v1 vats.sqlite kv.vat.002.v1: its fatal policy is unknown: ignore"},
		"another incarnation": {record("v1", "'$.incarnation', 4"),
			"span v1 transcript.v1.12.14: the incarnation of the current span: expected 4, got 0"},
		"no worker image": {record("v1", "'$.imageID', ''"), "vat v1 vats.sqlite kv.vat.002.v1: it has a worker image exactly if"},
		"a bundle that is not there": {record("v1", "'$.bundleID', 'b1-other'"),
			"bundle v1 bundle.b1-other: the vat needs it"},
		"suspended only in the record": {record("v7", "'$.suspended', json('true'), '$.suspendReason', 'why'"),
			"span v7 transcript.v7.0.2: the incarnation of the current span: expected 1, got 0\nspan v7 transcript.v7.0.2: whether the current span is empty\ncounts"},
		"usage that is none":    {"UPDATE kv SET value = '[]' WHERE key = 'use.v1'", "vat v1 vats.sqlite kv.use.v1: it cannot be decoded"},
		"a negative number":     {"UPDATE kv SET value = json_set(value, '$.computrons', -1) WHERE key = 'use.v2'", "vat v2 vats.sqlite kv.use.v2: it has a number below 0"},
		"a lost allowance":      {"UPDATE kv SET value = json_remove(value, '$.allowance') WHERE key = 'use.v1'", "vat v1 vats.sqlite kv.use.v1: there is an allowance exactly if"},
		"not immediate":         {"DELETE FROM kv WHERE key = 'immediate.002.v7'", "vat v7 vats.sqlite kv.immediate.002.v7: whether a restart-all"},
		"immediate":             {"INSERT INTO kv VALUES ('immediate.002.v1', '')", "vat v1 vats.sqlite kv.immediate.002.v1: whether a restart-all"},
		"immediate without vat": {"INSERT INTO kv VALUES ('immediate.002.v9', '')", "key  vats.sqlite kv.immediate.002.v9: it belongs to no vat"},
		"an item that is none":  {"UPDATE kv SET value = 'x' WHERE key LIKE 'q.v1.%'", "queue v1 vats.sqlite kv.q.v1.2."},
		"an item in no place": {"UPDATE kv SET key = 'q.v1.2.x' WHERE key LIKE 'q.v1.%'",
			"queue v1 vats.sqlite kv.q.v1.2.x: it has no place among the items\nqueue v1 vats.sqlite kv.run.2.\ncounts"},
		"an item of a number to come": {"UPDATE kv SET key = 'q.v4.2.0000000000ffffff' WHERE key LIKE 'q.v4.%'",
			"queue v4 vats.sqlite kv.q.v4.2.0000000000ffffff: its number was never given out"},
		"a lost item": {"DELETE FROM kv WHERE key LIKE 'q.v1.%'",
			"queue v1 vats.sqlite kv.qlen.v1: the length of the queue: expected 0, got 1\nqueue v1 vats.sqlite kv.run.2.\ncounts"},
		"an item out of the run order": {"DELETE FROM kv WHERE key LIKE 'run.%'",
			"queue v1 vats.sqlite kv.q.v1.2.\ncounts"},
		"a held item in the run order": {"INSERT INTO kv SELECT replace(key, 'q.v4.', 'run.'), 'v4' FROM kv WHERE key LIKE 'q.v4.%'",
			"queue v4 vats.sqlite kv.q.v4.2.\ncounts"},
		"a queue length":  {"UPDATE kv SET value = '7' WHERE key = 'qlen.v2'", "queue v2 vats.sqlite kv.qlen.v2: the length of the queue: expected 2, got 7"},
		"no queue length": {"UPDATE kv SET value = 'x' WHERE key = 'qlen.v2'", "queue v2 vats.sqlite kv.qlen.v2: it is no such number: got x\nqueue v2 vats.sqlite kv.qlen.v2: the length of the queue"},
		"totals":          {"UPDATE kv SET value = json_set(value, '$.vats', 6) WHERE key = 'counts'", "counts  vats.sqlite kv.counts: the kept totals: expected {Vats:7"},
		"no totals":       {"UPDATE kv SET value = '' WHERE key = 'counts'", "counts  vats.sqlite kv.counts: it cannot be decoded"},
		"a token to come": {"UPDATE kv SET value = '2' WHERE key = 'restart.token.t'", "key  vats.sqlite kv.restart.token.t: it is no such number"},
		"no epoch": {"UPDATE kv SET value = 'x' WHERE key = 'restart.epoch'", "key  vats.sqlite kv.restart.epoch: it is no such number\nkey  vats.sqlite kv.restart.token.t" +
			strings.Repeat("\nvat v", 7)},
		"a cursor":          {"INSERT INTO kv VALUES ('restart.cursor', 'x') ON CONFLICT DO UPDATE SET value = 'x'", "key  vats.sqlite kv.restart.cursor: it is no place"},
		"config":            {"INSERT INTO kv VALUES ('config', '{\"snapshotInitial\":0}') ON CONFLICT DO UPDATE SET value = excluded.value", "key  vats.sqlite kv.config: its snapshot schedule"},
		"a foreign key":     {"INSERT INTO kv VALUES ('what', '')", "key  vats.sqlite kv.what: no such key belongs"},
		"vatstore without":  {"INSERT INTO kv VALUES ('vs.v9.x', '')", "key v9 vats.sqlite kv.vs.v9.x: it belongs to no vat"},
		"usage without vat": {"INSERT INTO kv VALUES ('use.v9', '{}')", "key v9 vats.sqlite kv.use.v9: it belongs to no vat"},
		"vatstore of a deleted vat": {"INSERT INTO kv VALUES ('vs.v6.x', '')",
			"vat v6 vats.sqlite kv.vat.002.v6: it is terminated and its deletion done"},
		"no deferred deletion": {"DELETE FROM kv WHERE key LIKE 'cleanup.%' AND value LIKE '%terminate%'",
			"vat v5 vats.sqlite kv.vat.002.v5: it is terminated and its deletion done"},
		"a deletion of a live vat": {`UPDATE kv SET value = '{"kind":"terminate","vatID":"v1"}' WHERE key LIKE 'cleanup.%' AND value LIKE '%terminate%'`,
			"key v1 vats.sqlite kv.cleanup.\nvat v5 vats.sqlite kv.vat.002.v5: it is terminated and its deletion done"},
		"a deletion of nothing": {`INSERT INTO kv VALUES ('cleanup.0000000000000001', '{"kind":"other","vatID":"v1"}')`,
			"key v1 vats.sqlite kv.cleanup.0000000000000001: it is no deferred deletion"},
		"an altered item": {"UPDATE transcriptItems SET item = replace(item, '\"computrons\":', '\"computrons\":1') WHERE vatID = 'v1' AND position = 13",
			"span v1 transcript.v1.12.14: its recorded hash is not that of its items"},
		"rows without vat": {"INSERT INTO transcriptItems VALUES ('v9', 0, 'x', 0)", "vat v9 transcript.v9: there are transcript or snapshot rows"},
		"no snapshot":      {"UPDATE snapshots SET inUse = NULL WHERE vatID = 'v1'", "snapshot v1 snapshot.v1.current: the snapshot that the vat starts from: expected snapshot.v1.11 "},
		"another snapshot": {"UPDATE snapshots SET hash = replace(hash, substr(hash, 1, 1), 'f') WHERE vatID = 'v1'",
			"snapshot v1 snapshot.v1.4: its hash is not that of the transcript\nsnapshot v1 snapshot.v1.11: its hash is not that of the transcript\nsnapshot v1 snapshot.v1.current"},
		"a snapshot of a suspended vat": {"UPDATE snapshots SET inUse = 1 WHERE vatID = 'v3' AND snapPos = 11",
			"snapshot v3 snapshot.v3.current: the snapshot that the vat starts from: expected none, got snapshot.v3.11"},
		"a snapshot elsewhere": {"UPDATE snapshots SET snapPos = 10 WHERE vatID = 'v1' AND inUse = 1",
			"snapshot v1 snapshot.v1.10: the transcript item of its position: expected save-snapshot, got bringOutYourDead\nsnapshot v1 snapshot.v1.current"},
		"a snapshot of another incarnation": {"UPDATE snapshots SET incarnation = 3 WHERE vatID = 'v1' AND inUse = 1",
			"snapshot v1 snapshot.v1.11: its incarnation is not that of the transcript: expected 0, got 3"},
		"a snapshot without size": {"UPDATE snapshots SET uncompressedSize = 0 WHERE vatID = 'v1' AND inUse = 1",
			"snapshot v1 snapshot.v1.11: its size"},
	}
}

// damage runs a statement past the store, in an open block; it must change something.
func (r *rig) damage(sql string) {
	r.t.Helper()
	c, err := r.s.db.BeginCrank()
	r.must(err)
	if n, err := c.ExecCount(sql); err != nil || n == 0 {
		r.t.Fatalf("%s: %d rows changed, %v", sql, n, err)
	}
	_, err = c.Commit(nil)
	r.must(err)
}

func TestAuditNamesWhatIsDamaged(t *testing.T) {
	r := inEveryState(t)
	if found := problems(t, r.s.db); len(found) > 0 {
		t.Fatalf("before any damage: %q", found)
	}
	r.damage("UPDATE kv SET value = value WHERE key = 'seq'") // what was read is forgotten with its block
	r.must(r.s.db.Rollback())
	for name, d := range damages() {
		t.Run(name, func(t *testing.T) {
			defer func() { r.must(r.s.db.Rollback()) }()
			r.damage(d.sql)
			compareLines(t, problems(t, r.s.db), strings.Split(d.want, "\n"))
		})
	}
}

// compareLines wants each line to begin as wanted.
func compareLines(t *testing.T, got, want []string) {
	t.Helper()
	same := len(got) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = strings.HasPrefix(got[i], want[i])
	}
	if !same {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A view beside the supervisor shows the same as the supervisor itself.
func TestAuditOfAView(t *testing.T) {
	r := inEveryState(t)
	v, err := store.OpenView(filepath.Join(r.opts.Dir, DatabaseFile))
	r.must(err)
	defer func() { r.must(v.Close()) }()
	r.send("v1", "incr")
	r.run()
	a := store.NewAudit(context.Background(), nil)
	r.must(store.CheckFile(a, v, DatabaseFile, true))
	r.must(Audit(a, v))
	r.must(a.Err())
	for what, want := range map[string]int64{CountVats: 7, CountItems: 4} {
		if got := a.Counted(what); got != want {
			t.Errorf("%d %s, want %d", got, what, want)
		}
	}
}

func TestAuditEndsWithItsContext(t *testing.T) {
	r := inEveryState(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Audit(store.NewAudit(ctx, nil), r.s.db); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAuditFilesNamesDamagedFiles(t *testing.T) {
	r := inEveryState(t)
	row, _, err := snapshots.InUse(r.s.db, "v1")
	r.must(err)
	shared, _, err := snapshots.InUse(r.s.db, "v2")
	r.must(err)
	path := r.s.snapshots.Path(row.Hash)
	sound, err := os.ReadFile(path)
	r.must(err)
	audit := func() []string {
		a := store.NewAudit(context.Background(), nil)
		r.must(AuditFiles(a, r.s.db, r.s.snapshots))
		var lines []string
		for _, p := range a.Problems() {
			lines = append(lines, p.String())
		}
		return lines
	}
	compareLines(t, audit(), nil)
	flipped := append([]byte{}, sound...)
	flipped[len(flipped)-5] ^= 1
	both := row.Hash == shared.Hash // equal heaps share a file
	want := func(text string) []string {
		lines := []string{row.Place() + text}
		if both {
			lines = append(lines, shared.Place()+text)
		}
		return lines
	}
	r.must(os.WriteFile(path, flipped, 0o600))
	compareLines(t, audit(), want(": "))
	r.must(os.WriteFile(path, sound[:len(sound)-4], 0o600))
	compareLines(t, audit(), want(": snapshot file "))
	r.must(os.Remove(path))
	compareLines(t, audit(), want(": snapshot file "))
	r.must(os.WriteFile(path, sound, 0o600))
	compareLines(t, audit(), nil)
}
