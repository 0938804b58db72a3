package supervisor

import (
	"fmt"
	"reflect"
	"testing"
)

// TestRecordsAreTheCallers: a record that was decoded before is given again as
// a copy of its own, and only for the text it came from.
func TestRecordsAreTheCallers(t *testing.T) {
	r := records{last: map[string]decoded{}}
	const text = `{"name":"a","bundleID":"b1-x","options":{},"adminKey":"k","suspended":true,"incarnation":2,"workerBundleIDs":["b0-1"]}`
	first, err := r.decode("v1", text)
	if err != nil {
		t.Fatal(err)
	}
	want, err := decodeRecord("v1", text)
	if err != nil || !reflect.DeepEqual(first, want) {
		t.Fatalf("%+v, %v; want %+v", first, err, want)
	}
	first.enter(running, "changed")
	first.Incarnation++
	if again, err := r.decode("v1", text); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("the second time %+v, %v; want %+v", again, err, want)
	}
	if other, err := r.decode("v1", `{"name":"b"}`); err != nil || other.Name != "b" {
		t.Errorf("another text gives %+v, %v", other, err)
	}
	if _, err := r.decode("v1", `{`); err == nil {
		t.Error("a broken text is no error")
	}
	for i := range 2 * maxRecords {
		if _, err := r.decode(fmt.Sprint("v", i), text); err != nil || len(r.last) > maxRecords {
			t.Fatalf("%d records, %v", len(r.last), err)
		}
	}
}
