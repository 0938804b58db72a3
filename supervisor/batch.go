package supervisor

// What one delivery may hand to the host, well inside what one frame carries
// (pipeproto's limits), so that no vat can make a message that cannot be sent.
// The JavaScript kernel has no such limit; real deliveries make tens of calls.
const (
	maxBatchCalls = 100_000
	maxBatchBytes = 48 << 20
	overBatch     = "too many syscalls in one delivery"
)

// batch collects the syscalls of a delivery that the host has to act on.
type batch struct {
	calls        [][]byte
	count, bytes int // of everything a delivery hands over, testLog lines included
}

// admit counts one more call or line and tells whether the delivery may still
// make it.
func (b *batch) admit(bytes int) bool {
	b.count++
	b.bytes += bytes
	return b.count <= maxBatchCalls && b.bytes <= maxBatchBytes
}

func (b *batch) add(vso []byte) bool {
	if !b.admit(len(vso)) {
		return false
	}
	b.calls = append(b.calls, vso)
	return true
}

// What the syscalls of one delivery and their answers may have in all: its
// transcript entry holds them, in memory, several times over while it is
// written, and then in one row of the store. A vat pays few computrons for
// reading one large value again and again. In the JavaScript system the entry
// ends at the longest string of its own engine, 512 MiB, and with it the kernel.
const (
	maxTrafficBytes = 64 << 20
	overTraffic     = "too many bytes in the syscalls of one delivery"
)

// traffic counts the bytes of a delivery's syscalls and answers.
type traffic struct{ bytes int }

// admit counts a syscall and tells whether the delivery may still make it.
func (t *traffic) admit(vso []byte) bool {
	t.bytes += len(vso)
	return t.bytes <= maxTrafficBytes
}

func (t *traffic) answered(reply []byte) { t.bytes += len(reply) }

// isForHost tells the syscalls that return nothing and wait for the end of the
// delivery.
func isForHost(name string) bool {
	switch name {
	case "send", "subscribe", "resolve", "exit", "dropImports", "retireImports", "retireExports", "abandonExports":
		return true
	}
	return false
}
