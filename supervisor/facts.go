package supervisor

import (
	"encoding/json"
	"fmt"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// Facts are what a kernel host's own tables must agree with.
type Facts struct {
	StoreID string
	Epoch   int64 // of the last restart-all
	Vats    []VatFacts
}

// VatFacts are a vat's.
type VatFacts struct {
	VatID, Name string
	AdminKey    string
	State       string // as the record has it, whatever a restart-all will make of it
	Incarnation int64  // of the last one started; -1 = none
	Terminated  bool
}

// ReadFacts reads the facts of a database. Records that cannot be decoded are
// left out: Audit tells of them.
func ReadFacts(src store.Source) (f Facts, err error) {
	if f.StoreID, _, err = src.LocalGet(keyStoreID); err != nil {
		return f, err
	}
	f.Epoch, _ = epochIn(src)
	err = store.EachKey(src, prefixVat, func(key, text string) error {
		if len(key) <= len(vatKey("")) {
			return nil
		}
		rec, err := decodeRecord(vatIDOfKey(key, prefixVat), text)
		if err == nil {
			f.Vats = append(f.Vats, VatFacts{
				VatID: rec.ID, Name: rec.Name, AdminKey: rec.AdminKey, State: rec.state().String(),
				Incarnation: rec.Incarnation, Terminated: rec.Terminated,
			})
		}
		return nil
	})
	return f, err
}

// EachItem visits the items of all input queues, with the place of each. An item
// that cannot be decoded is left out.
func EachItem(src store.Source, visit func(place string, item pipeproto.Item) error) error {
	return store.EachKey(src, prefixQueue, func(key, text string) error {
		var item queued
		vatID, order, ok := splitQueueKey(key)
		if !ok || json.Unmarshal([]byte(text), &item) != nil {
			return nil
		}
		return visit(fmt.Sprintf("%s kv.%s", DatabaseFile, key), pipeproto.Item{
			VatID: vatID, Priority: order.priority(), Start: item.Start, Payload: item.Payload,
		})
	})
}

// splitQueueKey is the inverse of queueKey.
func splitQueueKey(key string) (vatID string, order itemOrder, ok bool) {
	const orderLen = len("2.0000000000000001")
	at := len(key) - orderLen
	if at <= len(prefixQueue) || key[at-1] != '.' || !orderForm.MatchString(key[at:]) {
		return "", "", false
	}
	return key[len(prefixQueue) : at-1], itemOrder(key[at:]), true
}
