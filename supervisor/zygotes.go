package supervisor

import (
	"sync"

	"vatworkerd/xsnap"
)

// zygotes keeps, for each native image that fresh workers were wanted of, the
// zygote that forks them. They are local and only faster: where one cannot be
// had the base snapshot is loaded. Safe for concurrent use.
type zygotes struct {
	spawner *xsnap.Spawner
	bases   *xsnap.BaseCache

	mu      sync.Mutex               // guards byImage; held while a zygote starts, so that there is one
	byImage map[string]*xsnap.Zygote // by image ID
}

func newZygotes(spawner *xsnap.Spawner, bases *xsnap.BaseCache) *zygotes {
	return &zygotes{spawner: spawner, bases: bases, byImage: map[string]*xsnap.Zygote{}}
}

// fork gives a worker with the image's base snapshot. A zygote that failed is
// forgotten; the next fork starts another.
func (z *zygotes) fork(image xsnap.Image, o xsnap.StartOptions) (*xsnap.Worker, error) {
	zygote, err := z.of(image, o)
	if err != nil {
		return nil, err
	}
	w, err := zygote.Start(o)
	if err != nil {
		z.forget(image, zygote)
	}
	return w, err
}

func (z *zygotes) of(image xsnap.Image, o xsnap.StartOptions) (*xsnap.Zygote, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if zygote := z.byImage[image.ID()]; zygote != nil {
		return zygote, nil
	}
	base, err := z.bases.Open(image)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	zygote, err := z.spawner.StartZygote(image.Engine, base, xsnap.ZygoteOptions{Sandbox: o.Sandbox, Limits: o.Limits, Watch: o.Watch})
	if err == nil {
		z.byImage[image.ID()] = zygote
	}
	return zygote, err
}

// forget may be called by several who met the same failure.
func (z *zygotes) forget(image xsnap.Image, zygote *xsnap.Zygote) {
	z.mu.Lock()
	if z.byImage[image.ID()] == zygote {
		delete(z.byImage, image.ID())
	}
	z.mu.Unlock()
	_ = zygote.Close() // it is of no use either way
}

// close ends all zygotes; their workers go on.
func (z *zygotes) close() {
	z.mu.Lock()
	defer z.mu.Unlock()
	for id, zygote := range z.byImage {
		_ = zygote.Close()
		delete(z.byImage, id)
	}
}
