package kernelhost

import (
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// slogNote gathers what a crank's slog tells in the kernel's own terms, where
// vatworkerd writes one. It is local: nothing reads it back. nil gathers nothing.
type slogNote struct{ pipeproto.SlogNote }

// take gives what was gathered since the last time, or nil.
func (n *slogNote) take() *pipeproto.SlogNote {
	if n == nil || n.Delivery == nil && n.CList == nil {
		return nil
	}
	taken := n.SlogNote
	n.SlogNote = pipeproto.SlogNote{}
	return &taken
}

func (n *slogNote) cList(mode, vatID, kref, vref string) {
	if n != nil {
		n.CList = append(n.CList, pipeproto.CListChange{Mode: mode, VatID: vatID, KObj: kref, VObj: vref})
	}
}

// message is SwingSet's kernel delivery object of a message, as the others are of
// theirs (kernel/kernel.js).
func (n *slogNote) message(target string, msg message) {
	if n == nil {
		return
	}
	b := append([]byte(`["message",`), capdata.AppendString(nil, target)...)
	n.Delivery = append(appendMessage(append(b, ','), msg), ']')
}

func (n *slogNote) notify(c *crank, kpids []string) error {
	if n == nil {
		return nil
	}
	b := []byte(`["notify",[`)
	for i, kpid := range kpids {
		if i > 0 {
			b = append(b, ',')
		}
		p, err := c.promise(kpid)
		if err != nil {
			return err
		}
		b = capdata.AppendString(append(b, '['), kpid)
		b = capdata.AppendString(append(b, `,{"state":`...), p.state)
		b = append(appendCapData(append(b, `,"data":`...), p.data), "}]"...)
	}
	n.Delivery = append(b, "]]"...)
	return nil
}

func (n *slogNote) start(parameters capdata.CapData) {
	if n != nil {
		n.Delivery = append(appendCapData([]byte(`["startVat",`), parameters), ']')
	}
}

func (n *slogNote) garbage(action string, krefs []string) {
	if n != nil {
		n.Delivery = append(appendStrings([]byte(`["`+action+`s",`), krefs), ']')
	}
}

func (n *slogNote) bringOutYourDead() {
	if n != nil {
		n.Delivery = []byte(bringOutYourDead)
	}
}
