package config

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// The JavaScript store keeps and exports of a bundle the archive alone
// (bundleStore.js); the rest of its JSON text follows from the ID.

// BundleArchive checks the JSON text of a bundle, and gives its ID and archive. An
// error's text begins with "this is no bundle".
func BundleArchive(data []byte) (id string, archive []byte, err error) {
	b, err := parseBundle(data)
	if err != nil {
		return "", nil, err
	}
	var props struct{ EndoZipBase64 []byte }
	if err := json.Unmarshal(data, &props); err != nil {
		return "", nil, fmt.Errorf("this is no bundle: %w", err)
	}
	return b.id, props.EndoZipBase64, nil
}

// BundleText gives the JSON text of the bundle with an ID, as SwingSet's bundle
// store hands it out. It checks nothing.
func BundleText(id string, archive []byte) []byte {
	return bundleText(archive, strings.TrimPrefix(id, "b1-"))
}

// SplitBundleText gives what is before and behind the archive in the JSON text of
// a bundle; ok is false if the archive is not spelled there as usual.
func SplitBundleText(data, archive []byte) (before, after string, ok bool) {
	return strings.Cut(string(data), base64.StdEncoding.EncodeToString(archive))
}

// JoinBundleText is the inverse of SplitBundleText.
func JoinBundleText(before string, archive []byte, after string) []byte {
	return []byte(before + base64.StdEncoding.EncodeToString(archive) + after)
}
