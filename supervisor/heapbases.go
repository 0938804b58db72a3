package supervisor

import (
	"errors"
	"sync"

	"vatworkerd/snapshots"
	"vatworkerd/xsnap"
)

// heapBases sees to it that a vat's heap snapshots are stored as what they have
// besides the base snapshot of the vat's worker image, and that this base is
// there to read them again. Safe for concurrent use.
type heapBases struct {
	dir     *snapshots.Dir
	starter starter

	mu     sync.Mutex        // guards hashes
	hashes map[string]string // of the bases whose files the directory has, by image ID
}

func newHeapBases(dir *snapshots.Dir, starter starter) *heapBases {
	return &heapBases{dir: dir, starter: starter, hashes: map[string]string{}}
}

// create begins a heap snapshot of a vat of the image.
func (b *heapBases) create(image xsnap.Image) (*snapshots.Writer, error) {
	hash, err := b.of(image)
	if err != nil {
		return nil, err
	}
	w, err := b.dir.Create(hash)
	if lostBase(err) {
		if err := b.keep(image); err != nil {
			return nil, err
		}
		return b.dir.Create(hash)
	}
	return w, err
}

// open opens a heap snapshot of a vat of the image. A base that was lost is made
// again.
func (b *heapBases) open(image xsnap.Image, hash string) (*snapshots.Reader, error) {
	heap, err := b.dir.Open(hash)
	if lostBase(err) {
		if err := b.keep(image); err != nil {
			return nil, err
		}
		return b.dir.Open(hash)
	}
	return heap, err
}

func lostBase(err error) bool {
	var lost *snapshots.BaseError
	return errors.As(err, &lost)
}

// of gives the hash of the image's base, once the directory has it.
func (b *heapBases) of(image xsnap.Image) (string, error) {
	if hash, ok := b.known(image); ok {
		return hash, nil
	}
	err := b.keep(image)
	hash, _ := b.known(image)
	return hash, err
}

func (b *heapBases) known(image xsnap.Image) (hash string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hash, ok = b.hashes[image.ID()]
	return hash, ok
}

// warm has the image's base in memory before it is needed. Whoever needs it
// meets what goes wrong here.
func (b *heapBases) warm(image xsnap.Image) {
	content, err := b.starter.base(image)
	if err != nil {
		return
	}
	defer content.Close()
	b.dir.WarmBase(content)
}

// keep puts the image's base into the directory.
func (b *heapBases) keep(image xsnap.Image) error {
	content, err := b.starter.base(image)
	if err != nil {
		return err
	}
	defer content.Close()
	hash, err := b.dir.KeepBase(content)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hashes[image.ID()] = hash
	return nil
}
