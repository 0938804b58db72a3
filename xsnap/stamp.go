package xsnap

import (
	"fmt"
	"os"
	"syscall"
)

func stampPath(path string) (fileStamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, err
	}
	return stampOf(info)
}

func stampFile(f *os.File) (fileStamp, error) {
	info, err := f.Stat()
	if err != nil {
		return fileStamp{}, err
	}
	return stampOf(info)
}

func stampOf(info os.FileInfo) (fileStamp, error) {
	if !info.Mode().IsRegular() {
		return fileStamp{}, fmt.Errorf("%s is not a regular file", info.Name())
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileStamp{}, fmt.Errorf("cannot stat %s: no system data", info.Name())
	}
	return fileStamp{
		device:   uint64(st.Dev),
		inode:    st.Ino,
		size:     info.Size(),
		modified: info.ModTime().UnixNano(),
	}, nil
}
