package kernelhost

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vatworkerd/store"
)

// pair compares the tables with what vatworkerd keeps.
func (c *auditor) pair(src store.Source) error {
	if c.daemon.Vats == nil {
		return nil
	}
	id, ok, err := src.LocalGet(storeIDKey)
	if err != nil {
		return err
	}
	if ok && id != c.daemon.StoreID {
		c.Add(store.Problem{Kind: KindPair, Place: DatabaseFile + " local." + storeIDKey, What: "the name of the store of vats: the two databases do not belong together", Expected: id, Got: orElse(c.daemon.StoreID, "none")})
	}
	for _, check := range []func() error{c.hostVats, c.daemonVats, c.bundles, c.epoch} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// hostVats: a vat that the kernel has is vatworkerd's too, with the same admin key.
func (c *auditor) hostVats() error {
	return c.each("v", func(key, _ string) error {
		vatID, rest, _ := strings.Cut(key, ".")
		if !isVatID(vatID) || rest != "options" {
			return nil
		}
		theirs, ok := c.daemon.Vats[vatID]
		if !ok {
			c.wrong(KindPair, vatID, key, "vatworkerd does not know the vat", "", "")
			return nil
		}
		marked, err := c.has(terminatedKey(vatID))
		if err != nil {
			return err
		}
		if marked != theirs.Terminated {
			c.wrong(KindPair, vatID, terminatedKey(vatID), "whether the vat is terminated", fmt.Sprint(theirs.Terminated), fmt.Sprint(marked))
		}
		if marked || theirs.Terminated {
			return nil
		}
		own, _, err := c.get(adminKey(vatID))
		if err == nil && own != theirs.AdminKey {
			c.wrong(KindPair, vatID, adminKey(vatID), "the vat's admin key is not vatworkerd's", "", "")
		}
		return err
	})
}

// daemonVats: vatworkerd's live vats are the kernel's too, and the kernel knows
// what has become of those it made itself.
func (c *auditor) daemonVats() error {
	for _, vatID := range slices.Sorted(maps.Keys(c.daemon.Vats)) {
		theirs := c.daemon.Vats[vatID]
		if theirs.Terminated {
			continue
		}
		known, err := c.has(optionsKey(vatID))
		if err != nil {
			return err
		}
		if !known {
			c.wrong(KindPair, vatID, optionsKey(vatID), "vatworkerd has the vat and the kernel does not know it", "", "")
			continue
		}
		if err := c.stateOf(vatID, theirs); err != nil {
			return err
		}
	}
	return nil
}

func (c *auditor) stateOf(vatID string, theirs DaemonVat) error {
	text, ok, err := c.get(stateKey(vatID))
	if err != nil || !ok {
		return err
	}
	var own vatState
	if json.Unmarshal([]byte(text), &own) != nil {
		return nil // told where the key is checked
	}
	want := fmt.Sprintf("%s in incarnation %d", theirs.State, theirs.Incarnation)
	if got := fmt.Sprintf("%s in incarnation %d", own.State, own.Incarnation); got != want {
		c.wrong(KindPair, vatID, stateKey(vatID), "the vat's state", want, got)
	}
	return nil
}

// bundles: what the kernel can name is stored.
func (c *auditor) bundles() error {
	stored := func(key, id string) error {
		ok, err := c.daemon.HasBundle(id)
		if err == nil && !ok {
			c.wrong(KindPair, "", key, "vatworkerd does not hold the bundle", "", id)
		}
		return err
	}
	const prefix = "bundle."
	if err := c.each(prefix, func(key, _ string) error { return stored(key, key[len(prefix):]) }); err != nil {
		return err
	}
	return c.each(bundleNameKey(""), stored)
}

// epoch: a kernel with a vat-admin vat counts restart-alls.
func (c *auditor) epoch() error {
	if ok, err := c.has(adminVatKey); err != nil || !ok {
		return err
	}
	text, _, err := c.get(epochKey)
	if want := strconv.FormatInt(c.daemon.Epoch, 10); err == nil && orElse(text, "0") != want {
		c.wrong(KindPair, "", epochKey, "how many restart-alls there were", want, orElse(text, "0"))
	}
	return err
}

// outbox: what waits to leave is of a device, was numbered, and is of a block
// that is committed.
func (c *auditor) outbox(src store.Source) error {
	rows, err := src.Query("SELECT sender, count(*), min(id), max(id), max(height) FROM outbox GROUP BY sender ORDER BY sender")
	if err != nil {
		return err
	}
	for _, row := range rows {
		sender, n, height := row.Text(0), row.Int64(1), row.Int64(4)
		c.Count(CountOutputs, n)
		wrong := func(what, got string) {
			c.Add(store.Problem{Kind: KindRecord, Place: DatabaseFile + " outbox." + sender, What: what, Got: got})
		}
		next, _, err := c.get(nextOutputKey(sender))
		switch {
		case err != nil:
			return err
		case row.Int64(2) < firstOutput || !below(strconv.FormatInt(row.Int64(3), 10), next):
			wrong("it holds outputs that the device has not numbered", fmt.Sprintf("%d to %d", row.Int64(2), row.Int64(3)))
		case row.Int64(3)-row.Int64(2)+1 != n:
			wrong(fmt.Sprintf("outputs are missing between %d and %d", row.Int64(2), row.Int64(3)), fmt.Sprint(n))
		case height > src.Height()+1:
			wrong("it holds outputs of a block to come", strconv.FormatInt(height, 10))
		}
	}
	return nil
}
