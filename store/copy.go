package store

import (
	"errors"
	"fmt"
	"os"
)

// Size gives the size in bytes of the whole database as it is read.
func (r *ReadOnly) Size() (int64, error) {
	bytes, err := number(r, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
	if err != nil {
		return 0, fmt.Errorf("cannot measure database %s: %w", r.path, err)
	}
	return bytes, nil
}

// CopyTo writes the whole database, as it is read, into the file at path, which
// must not be there. Pages are copied as they are: damage is copied too. step is
// called after each piece with how many pages of how many are written; an error of
// it ends the copy and comes out as it is. The file is not synced, and after an error it is
// there and of no use. Errors: *IOError, *CorruptError.
func (r *ReadOnly) CopyTo(path string, step func(done, total int) error) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // SQLite would let others read it
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return typedError("make a copy of "+r.path, path, err)
	}
	var stopped error
	err = r.conn.copyTo(path, func(done, total int) error {
		stopped = step(done, total)
		return stopped
	})
	switch {
	case err == nil || stopped != nil:
		return stopped
	case errors.Is(typedError("", "", err), ErrDiskFull):
		return typedError("write a copy of "+r.path, path, err)
	}
	return typedError("copy to "+path, r.path, err)
}
