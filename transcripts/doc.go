// Package transcripts records every delivery of a vat with its syscalls, in
// the items, spans and hashes of the JavaScript system, and tells whether a
// replay repeats them.
package transcripts
