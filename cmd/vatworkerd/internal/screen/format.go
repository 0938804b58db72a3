package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bytes writes a size in bytes, e.g. "512 B" or "13.4 MB" (decimal units).
func Bytes(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n) / 1000
	unit := 0
	for value >= 999.95 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// Millis writes a duration given in microseconds, e.g. "0.4 ms" or "41 ms".
func Millis(micros int64) string {
	if micros < 10_000 {
		return fmt.Sprintf("%.1f ms", float64(micros)/1000)
	}
	return fmt.Sprintf("%d ms", (micros+500)/1000)
}

// Elapsed writes a duration for people, e.g. "850 ms" or "12.3 s".
func Elapsed(d time.Duration) string {
	if d < time.Second {
		return Millis(d.Microseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Count writes a number with its thousands apart, e.g. "36,104,221".
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// Plural writes a number and its noun, e.g. "1 vat", "2 vats"; plural is the
// noun's plural where an s does not make it.
func Plural(n int64, noun string, plural ...string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case len(plural) > 0:
		return Count(n) + " " + plural[0]
	}
	return Count(n) + " " + noun + "s"
}

// Short writes a number in at most five characters, e.g. "950", "1.2k", "36.1M".
func Short(n float64) string {
	units := []string{"", "k", "M", "G", "T"}
	unit := 0
	for n >= 999.95 && unit < len(units)-1 {
		n /= 1000
		unit++
	}
	if n == float64(int64(n)) && unit == 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + units[unit]
}

// Age writes in one unit how long something has lasted, e.g. "12 s", "3 min".
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
