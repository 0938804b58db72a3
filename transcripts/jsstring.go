package transcripts

// JSString gives the JSON text of a string exactly as JSON.stringify writes it
// (no escaping of <, > or &), for syscall results that enter transcripts.
func JSString(text string) []byte { return appendString(nil, []byte(text)) }
