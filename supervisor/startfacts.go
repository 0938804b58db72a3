package supervisor

import (
	"encoding/json"

	"vatworkerd/store"
	"vatworkerd/xsnap"
)

// StartFacts are what a vat's workers are started with, for who starts one
// elsewhere.
type StartFacts struct {
	VatID, Name string
	State       string // as the record has it, whatever a restart-all will make of it
	Incarnation int64  // of the last one started; -1 = none
	ImageID     string // of that incarnation
	MeterLimit  int64  // computrons for each delivery; 0 is none
	// LiveSlotsOptions are for setBundle.
	LiveSlotsOptions json.RawMessage
}

// ReadStartFacts reads them from a database; ok is false if it has no such vat.
func ReadStartFacts(src store.Source, vatID string) (f StartFacts, ok bool, err error) {
	text, ok, err := src.Get(vatKey(vatID))
	if err != nil || !ok {
		return f, false, err
	}
	rec, err := decodeRecord(vatID, text)
	if err != nil {
		return f, false, err
	}
	var cfg config
	err = readJSON(src, keyConfig, &cfg)
	return StartFacts{
		VatID: vatID, Name: rec.Name, State: rec.state().String(), Incarnation: rec.Incarnation, ImageID: rec.ImageID,
		MeterLimit: limitOf(rec), LiveSlotsOptions: cfg.liveSlotsOptions(rec),
	}, true, err
}

// FindImage gives the image that the vat's incarnation was started on, from where
// it was found last. Errors: *ImageError.
func (f StartFacts) FindImage(src store.Source) (xsnap.Image, error) {
	return findImage(src, f.VatID, f.ImageID)
}
