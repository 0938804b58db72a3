package kernelhost

// collect looks at what the crank has let go of: it deletes promises and
// orphaned objects that nobody refers to, with all that only they referred to,
// and notes what vats must be told. It is SwingSet's processRefcounts
// (kernel/state/kernelKeeper.js), except that it looks again at what it itself
// lets go of, where SwingSet may leave that lying.
func (c *crank) collect() error {
	for kref, ok := c.loose.next(); ok; kref, ok = c.loose.next() {
		var err error
		if isPromise(kref) {
			err = c.collectPromise(kref)
		} else {
			err = c.collectObject(kref)
		}
		if err != nil {
			return err
		}
	}
	return c.kv.Err()
}

func (c *crank) collectPromise(kpid string) error {
	if !c.has(kpid + ".state") {
		return c.kv.Err()
	}
	if count, err := c.require(countKey(kpid)); err != nil || count != "0" {
		return err
	}
	p, err := c.promise(kpid)
	if err != nil {
		return err
	}
	c.deletePromise(kpid)
	return c.dropRefs(p.data.Slots)
}

func (c *crank) collectObject(kref string) error {
	n, ok, err := c.objectCount(kref)
	if err != nil || !ok || n.reachable > 0 {
		return err
	}
	owner, owned := c.kv.Get(ownerKey(kref))
	if owned && !c.terminated(owner) {
		return c.releaseExport(owner, kref, n)
	}
	if owned {
		// What cleaning up after the vat would do with it some day.
		if err := c.removeExport(owner, kref); err != nil {
			return err
		}
	}
	if n.recognizable > 0 {
		return c.retireObject(kref)
	}
	c.deleteObject(kref)
	return c.kv.Err()
}

// releaseExport notes what the exporter of an unreachable object must be told.
func (c *crank) releaseExport(owner, kref string, n objectCount) error {
	e, ok, err := c.clistEntry(owner, kref)
	if err != nil {
		return err
	}
	if !ok {
		return brokenf("%s is not in the c-list of %s that exports it", kref, owner)
	}
	if e.reachable {
		c.addGCAction(owner, dropExport, kref)
	}
	if n.recognizable == 0 {
		c.addGCAction(owner, retireExport, kref)
	}
	return nil
}

// retireObject deletes an object that nobody can reach; the vats that still
// recognize it will be told that it is gone.
func (c *crank) retireObject(kref string) error {
	importers, err := c.recognizers(kref)
	if err != nil {
		return err
	}
	for _, vatID := range importers {
		if !c.terminated(vatID) {
			c.addGCAction(vatID, retireImport, kref)
		}
	}
	c.deleteObject(kref)
	return c.kv.Err()
}
