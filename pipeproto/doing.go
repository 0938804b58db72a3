package pipeproto

import "fmt"

// String says in words what is being done.
func (d Doing) String() string {
	text := fmt.Sprintf("%s for %s", d.Request, seconds(d.RequestFor))
	if d.Step == "" {
		return text
	}
	text += fmt.Sprintf("; %s of %s %s for %s", d.Step, d.VatID, d.Name, seconds(d.StepFor))
	if d.Position > 0 {
		text += fmt.Sprintf(", at position %d", d.Position)
	}
	return text
}

func seconds(micros int64) string { return fmt.Sprintf("%.1f s", float64(micros)/1e6) }
