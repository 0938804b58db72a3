package main

import "testing"

func TestByteSize(t *testing.T) {
	for text, want := range map[string]int64{
		"off": 0, "1": 1, "800000000": 800_000_000, "800MB": 800_000_000, "800 MB": 800_000_000, "64k": 64_000,
		"2GiB": 2 << 30, "1.5G": 1_500_000_000, "512Mi": 512 << 20, "1TiB": 1 << 40, "10B": 10,
	} {
		var s byteSize
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%q is %d, %v; want %d", text, s, err, want)
		}
		var again byteSize
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%q is written %q, which is %d, %v", text, s.String(), again, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "0.5", "x", "5X", "5MiBB", "MB", "NaN", "Inf", "1e30", "9e18", "5 5"} {
		var s byteSize
		if err := s.Set(text); err == nil {
			t.Errorf("%q was read as %d", text, s)
		}
	}
}
