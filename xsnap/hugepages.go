package xsnap

import (
	"os"
	"slices"
	"strings"
)

const (
	// mallocHugePages makes the C library (glibc 2.35 or later; others ignore it)
	// advise the kernel to back its large blocks by huge pages. The engine's
	// slots are such blocks; its chunks, which it maps itself, are not.
	mallocHugePages = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"

	hugePagesMode = "/sys/kernel/mm/transparent_hugepage/enabled"
	hugePagesSize = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
)

// detectHugePages tells whether this system gives huge pages to those who ask.
// Where all get them, or none, there is nothing to ask for.
func detectHugePages() bool {
	mode, err := os.ReadFile(hugePagesMode)
	return err == nil && strings.Contains(string(mode), "[madvise]")
}

// surroundings are what a worker finds besides its descriptors.
type surroundings struct {
	env  []string
	read []string // files, besides the engine's own, that it may read if contained
}

// surroundingsOf gives all that is in a worker's environment. Without TZ the C
// library would look for this machine's time zone where it is not held from it.
func (s *Spawner) surroundingsOf(o StartOptions) surroundings {
	around := surroundings{env: []string{"TZ=UTC0"}}
	if o.HugePages && s.hugePages {
		around.env = append(around.env, mallocHugePages)
		around.read = []string{hugePagesMode, hugePagesSize} // the C library asks there
	}
	return around
}

// with gives the files of an engine and those of its surroundings.
func (f engineFiles) with(around surroundings) engineFiles {
	f.read = slices.Concat(f.read, around.read)
	return f
}
