package dbdir

import (
	"encoding/json"
	"fmt"

	"vatworkerd/kernelhost"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// records writes the export data in the order of the JavaScript store's: keys,
// snapshots, spans, bundles.
func (x *exporter) records() error {
	if err := x.own(originKey, x.origin()); err != nil {
		return err
	}
	for _, db := range []struct {
		file string
		view *store.View
	}{{kernelhost.DatabaseFile, x.host}, {supervisor.DatabaseFile, x.vats}} {
		err := store.EachKey(db.view, "", func(key, value string) error {
			name, err := exportedKey(db.file, key)
			if err != nil {
				return err
			}
			return x.record(name, value)
		})
		if err != nil {
			return err
		}
	}
	if err := x.outputs(); err != nil {
		return err
	}
	for _, row := range x.heaps {
		if err := x.heapRecords(row); err != nil {
			return err
		}
	}
	for _, span := range x.spans {
		if err := x.record(span.ExportKey(), span.ExportRecord()); err != nil {
			return err
		}
	}
	return x.eachBundle(func(id string) error { return x.record(bundleKey+id, id) })
}

func (x *exporter) record(key, value string) error {
	if x.result.Records++; x.result.Records%1000 == 0 && x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	return x.out.Record(key, value)
}

// own writes a record of ours as JSON.
func (x *exporter) own(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("cannot encode the record %s: %w", key, err)
	}
	return x.record(kvPrefix+key, string(text))
}

func (x *exporter) outputs() error {
	rows, err := x.host.Query("SELECT sender, id, height, data FROM outbox WHERE height <= ? ORDER BY sender, id", x.Height())
	if err != nil {
		return err
	}
	for _, row := range rows {
		o := store.Output{Sender: row.Text(0), ID: row.Int64(1), Height: row.Int64(2), Data: row.Text(3)}
		if err := x.own(outputKey(o), waiting{Height: o.Height, Data: o.Data}); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) heapRecords(row snapshots.Row) error {
	if err := x.own(heapDetailKey(row), heapDetail{Incarnation: row.Incarnation, UncompressedSize: row.UncompressedSize}); err != nil {
		return err
	}
	if err := x.record(row.Place(), row.ExportRecord()); err != nil || !row.InUse {
		return err
	}
	return x.record(row.CurrentKey(), row.Place())
}

func (x *exporter) eachBundle(f func(id string) error) error {
	rows, err := x.vats.Query("SELECT id FROM bundles ORDER BY id")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := f(row.Text(0)); err != nil {
			return err
		}
	}
	return nil
}
