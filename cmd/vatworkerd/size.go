package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is the value of a flag: a number of bytes, or off (0) for no limit.
type byteSize int64

// Set reads "off", "800000000", "800MB" or "1.5GiB"; the unit's B may be left out.
func (s *byteSize) Set(text string) error {
	if text == "off" {
		*s = 0
		return nil
	}
	digits := strings.TrimRight(text, "kKMGTiB ")
	value, err := strconv.ParseFloat(digits, 64)
	unit, known := unitBytes(strings.TrimSpace(text[len(digits):]))
	bytes := value * unit
	if err != nil || !known || !(bytes >= 1) || bytes > math.MaxInt64/2 {
		return fmt.Errorf("it is a size such as 800MB or 2GiB, or off")
	}
	*s = byteSize(bytes)
	return nil
}

func unitBytes(unit string) (float64, bool) {
	bytes, known := map[string]float64{
		"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}[strings.TrimSuffix(unit, "B")]
	return bytes, known
}

// String writes the size so that Set reads the same.
func (s *byteSize) String() string {
	bytes := int64(*s)
	switch {
	case bytes == 0:
		return "off"
	case bytes%(1<<30) == 0:
		return strconv.FormatInt(bytes>>30, 10) + "GiB"
	case bytes%(1<<20) == 0:
		return strconv.FormatInt(bytes>>20, 10) + "MiB"
	}
	return strconv.FormatInt(bytes, 10)
}

// Type is what a flag's help calls the value.
func (*byteSize) Type() string { return "size" }
