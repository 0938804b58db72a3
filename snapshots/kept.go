package snapshots

import "fmt"

// A vat starts from one snapshot. The files of a few before it, of the same
// incarnation, may be kept as well, for the day its own cannot be read. How many
// is a node's own affair: rows, which are in consensus, stay in any case.

// Kept gives the rows whose files stay, of one vat or, for "", of all: the one
// the vat starts from and at most `earlier` before it, by vat and position. A
// vat that starts from none keeps none.
func Kept(q Querier, vatID string, earlier int) ([]Row, error) {
	query, args := keptRows+" ORDER BY s.vatID, s.snapPos", []any{1 + earlier}
	if vatID != "" {
		query, args = keptRows+" AND u.vatID = ? ORDER BY s.snapPos", append(args, vatID)
	}
	found, err := q.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot list the kept snapshots: %w", err)
	}
	return rowsOf(found), nil
}

// keptRows looks from each row in use (u) for the kept ones of its vat (s).
// AllEarlier asks for every earlier snapshot, however many files of them a node
// keeps.
const AllEarlier = 1 << 30

const keptRows = `SELECT s.vatID, s.snapPos, s.incarnation, s.hash, s.uncompressedSize, s.inUse
FROM snapshots u CROSS JOIN snapshots s ON s.vatID = u.vatID AND s.snapPos IN (
  SELECT snapPos FROM snapshots WHERE vatID = u.vatID AND incarnation = u.incarnation AND snapPos <= u.snapPos
  ORDER BY snapPos DESC LIMIT ?)
WHERE u.inUse = 1`

// KeptHashes gives the hashes of all files that stay.
func KeptHashes(q Querier, earlier int) (map[string]bool, error) {
	rows, err := Kept(q, "", earlier)
	if err != nil {
		return nil, err
	}
	hashes := make(map[string]bool, len(rows))
	for _, row := range rows {
		hashes[row.Hash] = true
	}
	return hashes, nil
}

// IsKept tells whether the file of a hash stays, for whichever vat.
func IsKept(q Querier, hash string, earlier int) (bool, error) {
	found, err := q.Query("SELECT DISTINCT vatID FROM snapshots WHERE hash = ?", hash)
	if err != nil {
		return false, fmt.Errorf("cannot tell whether snapshot %s is kept: %w", hash, err)
	}
	for _, r := range found {
		rows, err := Kept(q, r.Text(0), earlier)
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			if row.Hash == hash {
				return true, nil
			}
		}
	}
	return false, nil
}
