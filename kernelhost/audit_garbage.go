package kernelhost

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// turn: v1.gcTurn and gcTurn.NUMBER are of each other.
func (c *auditor) turn(vatID, key, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		c.wrong(KindGarbage, vatID, key, "it is no number", "", value)
		return nil
	}
	back, _, err := c.get(gcOrderKey(n))
	if err == nil && back != vatID {
		c.wrong(KindGarbage, vatID, key, "the vat of the turn "+gcOrderKey(n), vatID, orElse(back, "none"))
	}
	return err
}

func (c *auditor) turnOf(key, vatID string) error {
	text, _, err := c.get(gcTurnKey(vatID))
	if err != nil {
		return err
	}
	if n, parseErr := strconv.ParseInt(text, 10, 64); parseErr != nil || gcOrderKey(n) != key {
		c.wrong(KindGarbage, vatID, key, "it is not the turn of its vat", "", orElse(text, "none"))
	}
	return nil
}

// deadEntry: what is left of a vat is deleted only once it is terminated.
func (c *auditor) deadEntry(key, vatID string) error {
	dead, err := c.dead(vatID)
	if err == nil && !dead {
		c.wrong(KindRecord, vatID, key, "it deletes a vat that is not terminated", "", "")
	}
	return err
}

// action: gc.v1.dropExport.ko20 is of a vat that is alive and has its turn.
func (c *auditor) action(rest, key string) error {
	parts := strings.Split(rest, ".")
	if len(parts) != 3 || !slices.Contains(gcTypes(), parts[1]) || !isObject(parts[2]) {
		return c.foreign(key)
	}
	vatID := parts[0]
	turn, err := c.has(gcTurnKey(vatID))
	if err != nil {
		return err
	}
	dead, err := c.dead(vatID)
	if err == nil && (dead || !turn) {
		c.wrong(KindGarbage, vatID, key, "the vat is dead or has no turn to be told", "", "")
	}
	return err
}

// garbage: whoever must be told of an object's end knows, or will be told; and
// what waits in input queues to tell it is there once.
func (c *auditor) garbage() error {
	err := c.each("ko", func(key, owner string) error {
		kref, ok := strings.CutSuffix(key, ".owner")
		if !ok {
			return nil
		}
		if dead, err := c.dead(owner); err != nil || dead {
			return err
		}
		return c.exported(kref, owner)
	})
	if err != nil {
		return err
	}
	return c.each("v", func(key, value string) error {
		vatID, rest, _ := strings.Cut(key, ".")
		if !isVatID(vatID) {
			return nil
		}
		if kref, ok := strings.CutPrefix(rest, "c."); ok && strings.HasPrefix(value, "_ o-") {
			return c.imported(vatID, kref, key)
		}
		if rest == "options" {
			return c.queued(vatID)
		}
		return nil
	})
}

// exported: the exporter of an object that nobody reaches, or recognizes, knows
// or will be told.
func (c *auditor) exported(kref, owner string) error {
	text, _, err := c.get(clistKey(owner, kref))
	if err != nil {
		return err
	}
	drop, err := c.has(gcKey(owner, dropExport) + kref)
	if err != nil {
		return err
	}
	retire, err := c.has(gcKey(owner, retireExport) + kref)
	if err != nil {
		return err
	}
	e, _ := parseEntry(text)
	n := c.objects[kref]
	switch {
	case n.reachable > 0 && !e.reachable:
		c.wrong(KindGarbage, owner, clistKey(owner, kref), "the object can be reached, and its vat was told it cannot", "", "")
	case n.reachable == 0 && e.reachable && !drop:
		c.wrong(KindGarbage, owner, clistKey(owner, kref), "the object cannot be reached, and its vat is not told", "", "")
	case n.recognizable == 0 && !retire:
		c.wrong(KindGarbage, owner, clistKey(owner, kref), "nobody recognizes the object, and its vat is not told", "", "")
	}
	return nil
}

// imported: who recognizes an object that is gone will be told.
func (c *auditor) imported(vatID, kref, key string) error {
	exists, err := c.has(countKey(kref))
	if err != nil || exists {
		return err
	}
	told, err := c.has(gcKey(vatID, retireImport) + kref)
	if err != nil || told {
		return err
	}
	dead, err := c.dead(vatID)
	if err == nil && !dead {
		c.wrong(KindGarbage, vatID, key, "the object is gone, and the vat is not told", "", "")
	}
	return err
}

// queued: a vat's turn, and a bringOutYourDead that is due, wait in its input
// queue, each once.
func (c *auditor) queued(vatID string) error {
	if dead, err := c.dead(vatID); err != nil || dead {
		return err
	}
	for _, one := range []struct{ event, key string }{{eventGC, gcTurnKey(vatID)}, {eventBOYD, reapKey(vatID)}} {
		due, err := c.has(one.key)
		if err != nil {
			return err
		}
		want := map[bool]int{true: 1, false: 0}[due]
		if got := c.waiting[vatID+" "+one.event]; got != want {
			c.wrong(KindPair, vatID, one.key, "items of type "+one.event+" in the vat's input queue", fmt.Sprint(want), fmt.Sprint(got))
		}
	}
	return nil
}
