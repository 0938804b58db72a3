package supervisor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// orderForm is the spelling of an itemOrder.
var orderForm = regexp.MustCompile(`^[0-2]\.[0-9a-f]{16}$`)

// sequence gives the number under which an item was queued.
func (o itemOrder) sequence() (int64, error) { return strconv.ParseInt(string(o[2:]), 16, 64) }

// queueOf checks the items of a vat: each can be read and is older than the next
// number; which of them are in the run order follows from the vat's state.
func (c *auditor) queueOf(rec *record, now state) error {
	var n int64
	prefix := queuePrefix(rec.ID)
	err := store.EachKey(c.src, prefix, func(key, text string) error {
		n++
		c.Count(CountItems, 1)
		order := orderOfQueueKey(key, prefix)
		if !orderForm.MatchString(string(order)) {
			c.wrong(KindQueue, rec.ID, key, "it has no place among the items", "", "")
			return nil
		}
		if sequence, err := order.sequence(); err != nil || sequence < 1 || sequence > c.sequence {
			c.wrong(KindQueue, rec.ID, key, "its number was never given out", fmt.Sprintf("at most %d", c.sequence), fmt.Sprint(sequence))
		}
		c.decode(KindQueue, rec.ID, key, text, &queued{})
		return c.runnable(rec, now, key, order)
	})
	if err != nil {
		return err
	}
	kept, err := c.number(KindQueue, rec.ID, prefixQueueLen+rec.ID, 1, anyNumber)
	if err == nil && kept != n {
		c.wrong(KindQueue, rec.ID, prefixQueueLen+rec.ID, "the length of the queue", fmt.Sprint(n), fmt.Sprint(kept))
	}
	return err
}

func (c *auditor) runnable(rec *record, now state, key string, order itemOrder) error {
	text, has, err := c.src.Get(runKey(order))
	if err != nil {
		return err
	}
	has = has && text == rec.ID
	if has {
		c.counted.Queued++
	} else {
		c.counted.Held++
	}
	// Garbage collection may be set aside until a suspended vat starts.
	aside := now == suspended && order.priority() < pipeproto.PriorityMessage
	if want := !now.holds(); has != want && !(want && aside) {
		c.wrong(KindQueue, rec.ID, key, "whether it may run, as the vat is "+now.String(), fmt.Sprint(want), fmt.Sprint(has))
	}
	return nil
}

// runOrder: what may run next is in its vat's queue.
func (c *auditor) runOrder() error {
	return store.EachKey(c.src, prefixRun, func(key, vatID string) error {
		_, ok, err := c.src.Get(queueKey(vatID, orderOfRunKey(key)))
		if err == nil && !ok {
			c.wrong(KindQueue, vatID, key, "it names an item that is not in the vat's queue", "", "")
		}
		return err
	})
}

// belongings: what is kept of a vat belongs to one that is there.
func (c *auditor) belongings() error {
	for _, prefix := range []string{prefixQueue, prefixVatstore} {
		if err := c.owners(prefix); err != nil {
			return err
		}
	}
	for _, prefix := range []string{prefixQueueLen, prefixUsage} {
		err := store.EachKey(c.src, prefix, func(key, _ string) error {
			c.known(key[len(prefix):], key)
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := store.EachKey(c.src, prefixImmediate, func(key, _ string) error {
		if vatID := key[min(len(key), len(immediateKey(""))):]; immediateKey(vatID) != key || !c.has(vatID) {
			c.wrong(KindKey, "", key, "it belongs to no vat", "", "")
		}
		return nil
	})
	if err != nil {
		return err
	}
	rows, err := c.src.Query("SELECT vatID FROM transcriptSpans UNION SELECT vatID FROM transcriptItems UNION SELECT vatID FROM snapshots ORDER BY 1")
	for _, row := range rows {
		if vatID := row.Text(0); !c.has(vatID) {
			c.Add(store.Problem{Kind: KindVat, VatID: vatID, Place: "transcript." + vatID, What: "there are transcript or snapshot rows of a vat that has no record"})
		}
	}
	return err
}

func (c *auditor) has(vatID string) bool {
	_, ok := c.live[vatID]
	return ok
}

func (c *auditor) known(vatID, key string) {
	if !c.has(vatID) {
		c.wrong(KindKey, vatID, key, "it belongs to no vat", "", "")
	}
}

// owners looks at one key of each vat that has keys PREFIX VAT "." REST.
func (c *auditor) owners(prefix string) error {
	key, ok, err := c.src.NextKey(prefix, prefix)
	for ; ok && err == nil; key, ok, err = c.src.NextKey(key, prefix) {
		vatID, _, _ := strings.Cut(key[len(prefix):], ".")
		c.known(vatID, key)
		key = prefix + vatID + "." + pastAll
	}
	return err
}

// pastAll is above every text that goes on a key.
const pastAll = "\xff\xff"

// foreignKeys reports keys that no part of a supervisor writes.
func (c *auditor) foreignKeys() error {
	single := []string{keySequence, keyCounts, keyConfig, keyEpoch, keyCursor}
	prefixes := []string{
		prefixVat, prefixUsage, prefixQueue, prefixQueueLen, prefixRun, prefixVatstore, prefixImmediate, prefixCleanup, prefixToken,
	}
	key, ok, err := c.src.NextKey("", "")
	for ; ok && err == nil; key, ok, err = c.src.NextKey(key, "") {
		at := slices.IndexFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		switch {
		case at >= 0:
			key = prefixes[at] + pastAll
		case !slices.Contains(single, key):
			c.wrong(KindKey, "", key, "no such key belongs into this database", "", "")
		}
	}
	return err
}
