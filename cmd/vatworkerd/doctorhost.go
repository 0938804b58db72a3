package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vatworkerd/cmd/vatworkerd/internal/screen"
)

// hugePagesFile says to whom this system gives huge pages.
const hugePagesFile = "/sys/kernel/mm/transparent_hugepage/enabled"

// checkHugePages looks at what makes heaps load faster; none of it is bad.
func (w *workerFlags) checkHugePages(file string) finding {
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found("huge pages", "this kernel has none", nil)
	case err != nil:
		return found("huge pages", fmt.Sprintf("it is not known whether this system gives any: %v", err), nil)
	case strings.Contains(string(text), "[always]"):
		return found("huge pages", "given to all", nil)
	case !strings.Contains(string(text), "[madvise]"):
		return finding{Check: "huge pages", OK: true, Detail: "given to nobody", Hint: hugePagesGain("as root: echo madvise >" + file)}
	case !w.huge:
		return finding{Check: "huge pages", OK: true, Detail: "workers do not ask for them (--huge-pages=false)", Hint: hugePagesGain("leave --huge-pages on")}
	}
	return found("huge pages", "given to those who ask, and workers ask", nil)
}

// hugePagesGain tells what was measured in docs/performance.md.
func hugePagesGain(what string) string {
	return what + "; loading a heap of 13 MB then takes 12 % less CPU, one of 74 MB 33 % less"
}

// workerBytes is what the worker of a contract has in memory (docs/pool.md).
const workerBytes = 48 << 20

// checkMemory compares what --max-online workers take with what there is for them.
func (p *poolFlags) checkMemory(totalBytes uint64) finding {
	need := int64(p.maxOnline) * workerBytes
	if p.maxMemory > 0 {
		need = min(need, int64(p.maxMemory))
	}
	detail := fmt.Sprintf("%s may be used, workers of contracts take up to %s", screen.Bytes(int64(totalBytes)), screen.Bytes(need))
	if uint64(need) <= totalBytes {
		return found("memory", detail, nil)
	}
	return finding{
		Check: "memory", OK: true, Detail: detail,
		Hint: "lower --max-online, or set --max-memory: vats are paged out then before the system swaps, or kills workers",
	}
}

// lowDiskBytes is less than a database of busy vats may need in a day.
const lowDiskBytes = 1 << 30

// checkDisk looks at the file system of a database's directory.
func checkDisk(dir string) finding {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return found("disk", "", fmt.Errorf("cannot look at the file system of %s: %w", dir, err))
	}
	return judgeDisk(fs.Type, int64(fs.Bavail)*fs.Bsize)
}

func judgeDisk(kind, freeBytes int64) finding {
	f := finding{Check: "disk", OK: true, Detail: screen.Bytes(freeBytes) + " free"}
	switch kind {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.V9FS_MAGIC:
		f.OK, f.Detail = false, f.Detail+", on another machine"
		f.Hint = "move the database to a disk of this machine: SQLite's write-ahead log needs memory that all its users share"
		return f
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		f.Detail += ", in memory"
		f.Hint = "nothing of it outlives this machine's next start; move the database to a disk to keep it"
	}
	if freeBytes < lowDiskBytes {
		f.OK = false
		f.Hint = "make room: a commit that finds no space is undone, and nothing goes on until there is some"
	}
	return f
}
