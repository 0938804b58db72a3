package config

// optionKeys are the keys of creationOptions.
func optionKeys() []string {
	return []string{
		"critical", "restartCritical", "metered", "fatalPolicy", "allowance", "overrunPolicy",
		"reapInterval", "reapGCKrefs", "neverReap", "enablePipelining", "enableDisavow",
		"managerType", "useTranscript", "enableSetup",
	}
}

// DefaultOptions are those of a vat that says nothing.
func DefaultOptions() Options {
	return Options{Metered: true, FatalPolicy: PolicySuspend, OverrunPolicy: PolicyHold}
}

// options reads a vat's creationOptions.
func (r reader) options(place string, v value) (Options, error) {
	refused := map[string]string{"nodeOptions": `vats run in "xsnap" workers`}
	f := open(r.doc, place, v, optionKeys(), refused)
	o := Options{
		Critical:         f.bool("critical", false),
		RestartCritical:  f.bool("restartCritical", false),
		Metered:          f.bool("metered", true),
		EnablePipelining: f.bool("enablePipelining", false),
		EnableDisavow:    f.bool("enableDisavow", false),
		FatalPolicy:      f.choice("fatalPolicy", PolicySuspend, PolicySuspend, PolicyTerminate),
		OverrunPolicy:    f.choice("overrunPolicy", PolicyHold, PolicyHold, PolicyCommit),
	}
	if f.err == nil && f.has("allowance") {
		n := f.count("allowance", 0, 1)
		o.Allowance = &n
	}
	if n, never, ok := f.countOrNever("reapInterval"); ok {
		o.ReapInterval = &ReapInterval{Never: never, Deliveries: n}
	}
	if n, never, ok := f.countOrNever("reapGCKrefs"); ok {
		o.ReapGCKrefs = &ReapGCKrefs{Never: never, Krefs: n}
	}
	if f.bool("neverReap", false) {
		o.ReapInterval, o.ReapGCKrefs = &ReapInterval{Never: true}, &ReapGCKrefs{Never: true}
	}
	f.managerType("managerType")
	f.only("useTranscript", true, "vats come back from their transcripts")
	f.only("enableSetup", false, "a vat exports buildRootObject")
	return o, f.err
}

func (f *fields) has(key string) bool {
	_, ok := f.object.get(key)
	return ok
}
