package swingstore

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vatworkerd/store"
)

// TestVats compares the list with what the JavaScript system exports.
func TestVats(t *testing.T) {
	for _, name := range []string{"kept", "pruned"} {
		t.Run(name, func(t *testing.T) {
			js := saidOf(t, name)
			list, err := storeOf(t, name).Vats()
			must(t, err)
			noProblems(t, list.Problems)
			var order []string
			for _, v := range list.Vats {
				noProblems(t, v.Problems)
				order = append(order, fmt.Sprintf("%s static=%t terminated=%t critical=%t %s", v.Name, v.Static, v.Terminated, v.Critical, v.WorkerType))
				if !v.Terminated {
					compareWithExport(t, v, js.ExportData)
				}
			}
			// The kernel's own order; the name of a vat whose records are cleaned up is gone.
			want := []string{
				"bootstrap static=true terminated=false critical=false xsnap",
				"comms static=true terminated=false critical=false local",
				"counter static=true terminated=false critical=false xsnap",
				"echo static=true terminated=false critical=true xsnap",
				"timer static=true terminated=false critical=false xsnap",
				"vatAdmin static=true terminated=false critical=false xsnap",
				"vattp static=true terminated=false critical=false xsnap",
				"account static=false terminated=false critical=false xsnap",
				" static=false terminated=true critical=false ",
				"doomed static=false terminated=true critical=false xsnap",
			}
			if !slices.Equal(order, want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(order, "\n"), strings.Join(want, "\n"))
			}
			if v := vatNamed(t, list, "account"); v.VatID != js.VatIDs["account"] || v.Incarnation != 1 || v.SnapshotSize == 0 {
				t.Fatalf("account is %+v", v)
			}
		})
	}
}

func compareWithExport(t *testing.T, v Vat, export map[string]string) {
	t.Helper()
	span := fmt.Sprintf(`{"vatID":"%s","startPos":%d,"endPos":%d,"hash":"%s","isCurrent":1,"incarnation":%d}`,
		v.VatID, v.StartPos, v.EndPos, v.SpanHash, v.Incarnation)
	if want := export["transcript."+v.VatID+".current"]; span != want {
		t.Errorf("got span %s\nwant %s", span, want)
	}
	snapshot, record := "", ""
	if v.SnapshotPosition != nil {
		snapshot = fmt.Sprintf("snapshot.%s.%d", v.VatID, *v.SnapshotPosition)
		record = fmt.Sprintf(`{"vatID":"%s","snapPos":%d,"hash":"%s","inUse":1}`, v.VatID, *v.SnapshotPosition, v.SnapshotHash)
	}
	if want := export["snapshot."+v.VatID+".current"]; snapshot != want || record != export[want] {
		t.Errorf("got snapshot %s %s\nwant %s %s", snapshot, record, want, export[want])
	}
	if want := `{"bundleID":"` + v.BundleID + `"}`; export["kv."+v.VatID+".source"] != want {
		t.Errorf("%s: source is %s, want %s", v.VatID, export["kv."+v.VatID+".source"], want)
	}
	ids, err := json.Marshal(v.WorkerBundleIDs)
	must(t, err)
	if v.WorkerType == "xsnap" && !strings.Contains(export["kv."+v.VatID+".options"], `"bundleIDs":`+string(ids)) {
		t.Errorf("%s: worker bundles are not %s", v.VatID, ids)
	}
}

func vatNamed(t *testing.T, list VatList, name string) Vat {
	t.Helper()
	for _, v := range list.Vats {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("no vat %s", name)
	return Vat{}
}

func noProblems(t *testing.T, problems []store.Problem) {
	t.Helper()
	for _, p := range problems {
		t.Errorf("%s: %s", p.Kind, p)
	}
}

func TestVatListJSON(t *testing.T) {
	list, err := storeOf(t, "pruned").Vats()
	must(t, err)
	text, err := json.Marshal(list)
	must(t, err)
	var document map[string][]map[string]any
	must(t, json.Unmarshal(text, &document))
	for _, key := range []string{"vatID", "name", "static", "terminated", "incarnation", "startPos", "endPos", "spanHash",
		"snapshotPosition", "snapshotHash", "bundleID", "workerBundleIDs"} {
		for _, v := range document["vats"] {
			if _, ok := v[key]; !ok {
				t.Errorf("vat %v has no %s", v["vatID"], key)
			}
		}
	}
}

// TestVatsOfDamagedRecords: records that cannot be read are problems, not an end.
func TestVatsOfDamagedRecords(t *testing.T) {
	dir := copyOf(t, "pruned")
	account := saidOf(t, "pruned").VatIDs["account"]
	alter(t, dir,
		"UPDATE kvStore SET value = '[\"v' WHERE key = 'vat.dynamicIDs'",
		"UPDATE kvStore SET value = '7' WHERE key = '"+account+".options'")
	list, err := open(t, dir).Vats()
	must(t, err)
	if len(list.Problems) != 1 || list.Problems[0].Place != "kv.vat.dynamicIDs" {
		t.Errorf("got problems %v", list.Problems)
	}
	v, err := list.vat(account)
	must(t, err)
	var places []string
	for _, p := range v.Problems {
		places = append(places, p.Place)
	}
	if !slices.Equal(places, []string{"kv.vat.dynamicIDs", "kv." + account + ".options"}) {
		t.Errorf("got problems of the vat %v", v.Problems)
	}
}
