package swingstore

import "vatworkerd/store"

// The kinds of problems that only a swing-store has, besides those of package store.
const (
	KindKernel store.ProblemKind = "kernel" // a record of the kernel, in kvStore
	KindExport store.ProblemKind = "export" // an export record waiting in pendingExports
)
