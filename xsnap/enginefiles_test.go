package xsnap

import (
	"slices"
	"testing"
)

func TestParseLibraries(t *testing.T) {
	for name, tc := range map[string]struct {
		listing string
		want    []string
		bad     bool
	}{
		"glibc":   {"\tlinux-vdso.so.1 (0x7ff)\n\tlibm.so.6 => /lib/libm.so.6 (0x7f)\n\tlibc.so.6 => /lib/a (b)/libc.so.6 (0x7e)\n\t/lib64/ld-linux-x86-64.so.2 (0x7d)\n", []string{"/lib/libm.so.6", "/lib/a (b)/libc.so.6"}, false},
		"musl":    {"\t/lib/ld-musl-x86_64.so.1 (0x7f)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f)\n", []string{"/lib/ld-musl-x86_64.so.1"}, false},
		"missing": {"\tlibm.so.6 => not found\n", nil, true},
		"static":  {"\tstatically linked\n", nil, false},
	} {
		got, err := parseLibraries(tc.listing)
		if (err != nil) != tc.bad || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
