package main

import (
	"strings"
	"testing"
)

// What a flag should have been is told, not which function could not read it.
func TestWrongValuesOfFlags(t *testing.T) {
	for args, want := range map[string]string{
		"status --max-online x":                    `cannot use --max-online "x": it is a whole number`,
		"status --spares 99999999999999999999":     `cannot use --spares "99999999999999999999": it is a smaller number`,
		"status --silence-alarm soon":              `cannot use --silence-alarm "soon": it is a time such as 90s, 15m or 1h30m`,
		"status --huge-pages=perhaps":              `cannot use --huge-pages "perhaps": it is true or false`,
		"status --worker-memory much":              `cannot use --worker-memory "much": it is a size such as 800MB or 2GiB, or off`,
		"status --sandbox partly":                  `cannot use --sandbox "partly": `,
		"status --nonsense":                        "unknown flag: --nonsense",
		"vat refill alice --computrons 1e6 --db d": `cannot use --computrons "1e6": it is a whole number`,
	} {
		var out, told strings.Builder
		code := execute(strings.Fields(args), strings.NewReader(""), &out, &told)
		if code != exitUsage || !strings.HasPrefix(told.String(), "vatworkerd: "+want) || strings.Contains(told.String(), "strconv") {
			t.Errorf("%s: exit %d, %s", args, code, told.String())
		}
	}
}
