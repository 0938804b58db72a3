package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// hostLine is what a slog's line has of the kernel host's.
type hostLine struct {
	Type, Mode, VatID, KObj, VObj string
	Replay                        bool
	Message                       json.RawMessage
	KD, VD                        []json.RawMessage
}

// slogMessage is a message in a delivery, of either side.
type slogMessage struct {
	Methargs struct {
		Body  string
		Slots []string
	}
	Result string
}

// translation checks deliveries by the c-lists that the slog tells.
type translation struct {
	t     *testing.T
	krefs map[string]string // vatID and vref → kref
}

func (c *translation) toKernel(vatID, vref string) string {
	if vref == "" {
		return ""
	}
	kref, ok := c.krefs[vatID+" "+vref]
	if !ok && vref != "o+0" { // a root is there before it has been said
		c.t.Errorf("%s of %s is in no clist line", vref, vatID)
	}
	return kref
}

func (c *translation) message(vatID string, kd, vd []json.RawMessage) {
	var ktarget, vtarget string
	var kernel, vat slogMessage
	for _, part := range []struct {
		text json.RawMessage
		into any
	}{{kd[1], &ktarget}, {vd[1], &vtarget}, {kd[2], &kernel}, {vd[2], &vat}} {
		if err := json.Unmarshal(part.text, part.into); err != nil {
			c.t.Fatalf("%s: %v", part.text, err)
		}
	}
	if got := c.toKernel(vatID, vtarget); got != "" && got != ktarget {
		c.t.Errorf("%s is %s, not %s", vtarget, got, ktarget)
	}
	for i, vref := range vat.Methargs.Slots {
		vat.Methargs.Slots[i] = c.toKernel(vatID, vref)
		if vref == "o+0" {
			vat.Methargs.Slots[i] = kernel.Methargs.Slots[i]
		}
	}
	if kernel.Methargs.Body != vat.Methargs.Body || !slices.Equal(kernel.Methargs.Slots, vat.Methargs.Slots) || c.toKernel(vatID, vat.Result) != kernel.Result {
		c.t.Errorf("%s: vd %s is not kd %s", vatID, vd[2], kd[2])
	}
}

// checkHostSlog: what the kernel says of deliveries and c-lists fits what the vats
// were told, and it changes nothing in a run like that of the database "db".
func (r *rig) checkHostSlog() {
	t := r.t.(*testing.T)
	var with runDoc
	r.json(&with, "run", "config.json", "--db", "with", "--slog", "slog")
	if without := r.status(); with.ActivityHash != without.ActivityHash {
		t.Error("a slog changes the activity hash")
	}
	content, err := os.ReadFile(filepath.Join(r.dir, "slog"))
	if err != nil {
		t.Fatal(err)
	}
	c := &translation{t: t, krefs: map[string]string{}}
	counts := map[string]int{}
	for line := range bytes.Lines(content) {
		var l hostLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		c.line(l, counts)
	}
	for what, least := range map[string]int{"import": 4, "export": 2, "drop": 2, "message": 3, "notify": 1, "startVat": 3, "bringOutYourDead": 3, "items": 6} {
		if counts[what] < least {
			t.Errorf("there are %d %s, want %d or more: %v", counts[what], what, least, counts)
		}
	}
}

func (c *translation) line(l hostLine, counts map[string]int) {
	switch {
	case l.Type == "clist":
		counts[l.Mode]++
		c.krefs[l.VatID+" "+l.VObj] = l.KObj
	case l.Type == "crank-start" && l.Message != nil:
		counts["items"]++
	case l.Type == "deliver" && !l.Replay:
		if len(l.KD) == 0 || len(l.KD) != len(l.VD) || !bytes.Equal(l.KD[0], l.VD[0]) {
			c.t.Errorf("kd %s, vd %s", l.KD, l.VD)
			return
		}
		var kind string
		if err := json.Unmarshal(l.KD[0], &kind); err != nil {
			c.t.Fatal(err)
		}
		counts[kind]++
		if kind == "message" {
			c.message(l.VatID, l.KD, l.VD)
		}
	}
}
