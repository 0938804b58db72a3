package workerlogs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A vat's entries are in segments: files that follow each other by number. The
// newest is written to, the one before it is kept, and those before that are
// gone. A reader that has come to the end of a segment finds by its name whether
// there is a next one.
const (
	segmentSuffix = ".log"
	maxStemBytes  = 180 // of a file name's part that stands for the vat
)

// stemOf is a vat's part of file names.
func stemOf(vatID string) string {
	var b strings.Builder
	for _, c := range []byte(vatID) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	if b.Len() == 0 || b.Len() > maxStemBytes {
		sum := sha256.Sum256([]byte(vatID))
		return "%" + hex.EncodeToString(sum[:])
	}
	return b.String()
}

func segmentName(stem string, number int64) string {
	return stem + "." + strconv.FormatInt(number, 10) + segmentSuffix
}

// parseSegment takes a file name apart; ok is false for other files.
func parseSegment(name string) (stem string, number int64, ok bool) {
	rest, isLog := strings.CutSuffix(name, segmentSuffix)
	stem, digits, hasNumber := strings.Cut(rest, ".")
	number, err := strconv.ParseInt(digits, 10, 64)
	ok = isLog && hasNumber && stem != "" && err == nil && number > 0 && segmentName(stem, number) == name
	return stem, number, ok
}
