package capdata

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// jsNumber spells a JSON number as JavaScript does after it has read it. An
// integer that JavaScript would change is refused.
func jsNumber(text string) (string, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", fmt.Errorf("the number %s is too large for JavaScript", text)
	}
	spelt := formatNumber(f)
	if math.Abs(f) > 1<<53 && !strings.ContainsAny(text, ".eE") && spelt != text {
		return "", fmt.Errorf(`JavaScript would turn the number %s into %s; write {"@bigint": %q} for an exact one`, text, spelt, text)
	}
	return spelt, nil
}

// formatNumber is ECMAScript's Number::toString for finite numbers, with -0 as
// marshal writes it, 0.
func formatNumber(f float64) string {
	if f == 0 {
		return "0"
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	// Go pads the exponent to two digits, JavaScript does not.
	digits := strings.TrimLeft(exponent[1:], "0")
	return mantissa + "e" + exponent[:1] + digits
}

// displayNumber spells a number of capdata as JavaScript would; one beyond its
// range, which marshal never writes, stays as it is.
func displayNumber(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return formatNumber(f)
}
