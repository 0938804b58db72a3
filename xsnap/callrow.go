package xsnap

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callRow is one system call of a new process between fork and exec. The
// assembly reads it by offset.
type callRow struct {
	nr   uintptr
	args [6]uintptr
	mode uintptr
	want uintptr
	out  uintptr // address of a word that takes the result; 0 for none
}

const (
	modeMust   = 0      // an error ends the process
	modeMay    = 1      // an error does not matter
	modeEquals = 2      // a result other than want ends the process
	modeAt     = 1 << 8 // with one of these: args[0] is the address of the argument
)

// callReport tells which row ended the process. The process shares memory with
// this one until its execve, so it writes here.
type callReport struct {
	row    uintptr // its address; 0 if all went well
	result uintptr
}

// callTable is a list of rows with all they point to, outside of the Go heap:
// nothing in it moves, and the collector does not look at it.
type callTable struct {
	mem    []byte
	used   int
	rows   []callRow
	labels []string
	report *callReport
}

const (
	callTableBytes = 256 << 10
	maxCallRows    = 160
)

func newCallTable() (*callTable, error) {
	mem, err := unix.Mmap(-1, 0, callTableBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("cannot map memory for starting workers: %w", err)
	}
	return &callTable{mem: mem}, nil
}

func (t *callTable) close() { _ = unix.Munmap(t.mem) }

// reset forgets everything.
func (t *callTable) reset() {
	t.used, t.labels = 0, t.labels[:0]
	t.report = (*callReport)(t.take(unsafe.Sizeof(callReport{})))
	*t.report = callReport{}
	base := (*callRow)(t.take(maxCallRows * unsafe.Sizeof(callRow{})))
	t.rows = unsafe.Slice(base, maxCallRows)[:0]
}

// take returns size bytes, aligned to a word. What rows need besides argv is
// known and small, and argv is checked before (fits).
func (t *callTable) take(size uintptr) unsafe.Pointer {
	taken := t.mem[t.used : t.used+(int(size)+7)&^7]
	t.used += len(taken)
	return unsafe.Pointer(&taken[0])
}

// putIn copies v into the table and returns its address.
func putIn[T any](t *callTable, v T) uintptr {
	p := (*T)(t.take(unsafe.Sizeof(v)))
	*p = v
	return uintptr(unsafe.Pointer(p))
}

func (t *callTable) text(s string) uintptr {
	b := unsafe.Slice((*byte)(t.take(uintptr(len(s)+1))), len(s)+1)
	b[copy(b, s)] = 0
	return uintptr(unsafe.Pointer(&b[0]))
}

// texts returns the address of a list of addresses that ends with zero.
func (t *callTable) texts(list []string) uintptr {
	p := unsafe.Slice((*uintptr)(t.take(uintptr(len(list)+1)*unsafe.Sizeof(uintptr(0)))), len(list)+1)
	for i, s := range list {
		p[i] = t.text(s)
	}
	p[len(list)] = 0
	return uintptr(unsafe.Pointer(&p[0]))
}

// call adds a row; label names it in errors.
func (t *callTable) call(label string, nr uintptr, args ...uintptr) *callRow {
	t.rows = t.rows[:len(t.rows)+1] // never moves
	t.labels = append(t.labels, label)
	row := &t.rows[len(t.rows)-1]
	*row = callRow{nr: nr}
	copy(row.args[:], args)
	return row
}

// failure is the error of the row that ended the process, or nil.
func (t *callTable) failure() error {
	if t.report.row == 0 {
		return nil
	}
	at := (t.report.row - uintptr(unsafe.Pointer(&t.rows[0]))) / unsafe.Sizeof(callRow{})
	if int(t.report.result) >= 0 {
		return fmt.Errorf("cannot %s", t.labels[at])
	}
	return fmt.Errorf("cannot %s: %w", t.labels[at], unix.Errno(-int(t.report.result)))
}

// fits reports whether argv leaves room for everything else.
func (t *callTable) fits(argv []string) bool {
	return len(strings.Join(argv, " "))+16*len(argv) < callTableBytes/2
}
