// Package crashpoint names the instants of the program at which something
// outside of it changes, or a word is passed that something has. A build with
// the tag crashpoints can be told to end a process at any of them, which is how
// internal/e2e tries them all; in every other build Here is empty and the
// compiler leaves nothing of a call.
package crashpoint

// Name names a point: its room, then what has just happened there.
type Name string

// Point is one instant of the program.
type Point struct {
	Name Name
	In   string // the one function that passes it, "room.Func" or "room.Type.Method"
	What string // what has happened and what has not
}

// The points of package store, which both processes use.
const (
	StoreOpenLocked     Name = "store.open.locked"
	StoreOpenMigrated   Name = "store.open.migrated"
	StoreOpenTriggers   Name = "store.open.triggers"
	StoreBlockBegun     Name = "store.block.begun"
	StoreCrankWritten   Name = "store.crank.written"
	StoreCrankKept      Name = "store.crank.kept"
	StoreSealWritten    Name = "store.seal.written"
	StoreSealDurable    Name = "store.seal.durable"
	StoreFinishBegun    Name = "store.finish.begun"
	StoreFinishDropped  Name = "store.finish.dropped"
	StoreFinishDone     Name = "store.finish.done"
	StoreRollbackOpen   Name = "store.rollback.open"
	StoreUndoBegun      Name = "store.undo.begun"
	StoreUndoApplied    Name = "store.undo.applied"
	StoreUndoDurable    Name = "store.undo.durable"
	StoreAlignDone      Name = "store.align.done"
	StoreLocalWritten   Name = "store.local.written"
	StoreCheckpoint     Name = "store.checkpoint.begun"
	StoreCheckpointDone Name = "store.checkpoint.done"
	StoreClosed         Name = "store.closed"
)

// The points of package snapshots.
const (
	SnapshotCreated   Name = "snapshots.created"
	SnapshotWriting   Name = "snapshots.writing"
	SnapshotWritten   Name = "snapshots.written"
	SnapshotSynced    Name = "snapshots.synced"
	SnapshotNamed     Name = "snapshots.named"
	SnapshotDirSynced Name = "snapshots.dir-synced"
	SnapshotRecorded  Name = "snapshots.recorded"
	SnapshotRemove    Name = "snapshots.remove"
	SnapshotRemoved   Name = "snapshots.removed"
	SnapshotSwept     Name = "snapshots.swept"
	SnapshotBaseKept  Name = "snapshots.base-kept"
)

// The points of package control, whose sockets daemons listen on.
const (
	SocketBound     Name = "control.bound"
	SocketPublished Name = "control.published"
	SocketRemoved   Name = "control.removed"
)

// The points of package xsnap.
const (
	WorkerForked Name = "xsnap.forked"
	WorkerReady  Name = "xsnap.ready"
	BaseWritten  Name = "xsnap.base.written"
	BaseNamed    Name = "xsnap.base.named"
)

// The points of package supervisor.
const (
	SupervisorAligned      Name = "supervisor.open.aligned"
	SupervisorOpened       Name = "supervisor.open.done"
	SupervisorEnqueued     Name = "supervisor.enqueued"
	SupervisorCrankBegun   Name = "supervisor.crank.begun"
	SupervisorCrankEnding  Name = "supervisor.crank.ending"
	SupervisorCrankKept    Name = "supervisor.crank.kept"
	SupervisorCrankEffects Name = "supervisor.crank.effects"
	SupervisorCrankUndone  Name = "supervisor.crank.undone"
	SupervisorTurnTaken    Name = "supervisor.turn.taken"
	SupervisorTurnAnswered Name = "supervisor.turn.answered"
	SupervisorDelivered    Name = "supervisor.delivered"
	SupervisorJudged       Name = "supervisor.judged"
	SupervisorRecorded     Name = "supervisor.recorded"
	SupervisorAfterUndo    Name = "supervisor.after-undo"
	SupervisorActed        Name = "supervisor.acted"
	SupervisorActionFailed Name = "supervisor.action-failed"
	SupervisorDemand       Name = "supervisor.start.on-demand"
	SupervisorStartTold    Name = "supervisor.start.told"
	SupervisorStartReady   Name = "supervisor.start.launched"
	SupervisorStarted      Name = "supervisor.start.ran"
	SupervisorStartFailed  Name = "supervisor.start.failed"
	SupervisorEndTold      Name = "supervisor.end.told"
	SupervisorEnded        Name = "supervisor.end.rolled-over"
	SupervisorUpgradeLost  Name = "supervisor.upgrade.failed"
	SupervisorBuried       Name = "supervisor.snapshot.boyd"
	SupervisorHeapBegun    Name = "supervisor.snapshot.begun"
	SupervisorHeapStreamed Name = "supervisor.snapshot.streamed"
	SupervisorHeapStored   Name = "supervisor.snapshot.stored"
	SupervisorSnapshotted  Name = "supervisor.snapshot.recorded"
	SupervisorPageIn       Name = "supervisor.page-in.begun"
	SupervisorHeapLoaded   Name = "supervisor.page-in.loaded"
	SupervisorReplayed     Name = "supervisor.page-in.replayed"
	SupervisorPagedIn      Name = "supervisor.page-in.done"
	SupervisorPageOut      Name = "supervisor.page-out"
	SupervisorCleaned      Name = "supervisor.cleaned"
	SupervisorSettled      Name = "supervisor.settled"
	SupervisorRestarted    Name = "supervisor.restart.raised"
	SupervisorRestartedOne Name = "supervisor.restart.started"
	SupervisorFilesDurable Name = "supervisor.block.files"
	SupervisorCommitted    Name = "supervisor.block.committed"
	SupervisorTidied       Name = "supervisor.block.tidied"
	SupervisorRollback     Name = "supervisor.rollback"
)

// The points of package kernelhost.
const (
	HostOpened         Name = "kernelhost.open.store"
	HostSpawned        Name = "kernelhost.open.spawned"
	HostGreeted        Name = "kernelhost.open.greeted"
	HostConfigured     Name = "kernelhost.initialize.configured"
	HostVatsMade       Name = "kernelhost.initialize.vats-made"
	HostVatsStarted    Name = "kernelhost.initialize.started"
	HostVatMade        Name = "kernelhost.create-vat"
	HostChangeEnqueued Name = "kernelhost.change.enqueued"
	HostChangeKept     Name = "kernelhost.change.kept"
	HostCrankBegun     Name = "kernelhost.crank.begun"
	HostTurn           Name = "kernelhost.turn"
	HostCallNow        Name = "kernelhost.call-now"
	HostJudged         Name = "kernelhost.judged"
	HostCrankKept      Name = "kernelhost.crank.kept"
	HostCrankAborted   Name = "kernelhost.crank.aborted"
	HostIncarnation    Name = "kernelhost.incarnation.begun"
	HostIncarnationEnd Name = "kernelhost.incarnation.ended"
	HostActed          Name = "kernelhost.acted"
	HostRan            Name = "kernelhost.ran"
	HostCleaned        Name = "kernelhost.cleaned"
	HostPrepared       Name = "kernelhost.commit.prepared"
	HostCommitted      Name = "kernelhost.commit.decided"
	HostFinished       Name = "kernelhost.commit.finished"
	HostReleased       Name = "kernelhost.outbox.released"
	HostForgotten      Name = "kernelhost.outbox.forgotten"
	HostRollback       Name = "kernelhost.rollback"
	HostClosing        Name = "kernelhost.close"
)

// All gives every point, room by room.
func All() []Point {
	return []Point{
		{StoreOpenLocked, "store.Open", "the file's lock is held, nothing is read"},
		{StoreOpenMigrated, "store.DB.migrate", "all steps of the schema are written, not committed"},
		{StoreOpenTriggers, "store.DB.setTriggers", "the undo's triggers are written, not committed"},
		{StoreBlockBegun, "store.DB.openBlock", "the block's transaction is open and empty"},
		{StoreCrankWritten, "store.Crank.apply", "a crank's keys are written inside its savepoint"},
		{StoreCrankKept, "store.Crank.Commit", "the crank is part of the open block"},
		{StoreSealWritten, "store.DB.seal", "height and activity hash are written, the transaction is not committed"},
		{StoreSealDurable, "store.DB.seal", "the block is on the disk, nobody has been told"},
		{StoreFinishBegun, "store.DB.finish", "a prepared block is to be finished, its undo is whole"},
		{StoreFinishDropped, "store.DB.dropUndo", "undo and mark of the prepared block are deleted, not committed"},
		{StoreFinishDone, "store.DB.finish", "the undo is gone, nobody has been told"},
		{StoreRollbackOpen, "store.DB.dropOpenBlock", "the open block is dropped, local writes are not saved"},
		{StoreUndoBegun, "store.DB.rollback", "a prepared block is to be undone"},
		{StoreUndoApplied, "store.DB.applyUndo", "every row is put back, the undo is still there"},
		{StoreUndoDurable, "store.DB.rollback", "the prepared block is undone, memory says otherwise"},
		{StoreAlignDone, "store.DB.Align", "the database stands where the host does"},
		{StoreLocalWritten, "store.DB.setLocal", "a local value is saved outside of any block"},
		{StoreCheckpoint, "store.DB.checkpointIfLarge", "the write-ahead log is about to be moved into the database"},
		{StoreCheckpointDone, "store.DB.checkpointIfLarge", "the write-ahead log is empty"},
		{StoreClosed, "store.DB.Close", "the database is closed, its process goes on"},

		{SnapshotCreated, "snapshots.saving.begin", "there is an empty temporary file"},
		{SnapshotWriting, "snapshots.Writer.Write", "part of a heap is on its way to the temporary file"},
		{SnapshotWritten, "snapshots.saving.save", "the frame is complete, nothing is synced"},
		{SnapshotSynced, "snapshots.saving.save", "the temporary file is on the disk"},
		{SnapshotNamed, "snapshots.saving.publish", "the file has its name, the directory is not synced"},
		{SnapshotDirSynced, "snapshots.saving.publish", "the file has its name for good, a row of the open block may name it"},
		{SnapshotRecorded, "snapshots.Record", "the row is written within the crank"},
		{SnapshotRemove, "snapshots.Dir.Remove", "a file that went out of use is about to go"},
		{SnapshotRemoved, "snapshots.Dir.Remove", "a file that went out of use is gone"},
		{SnapshotSwept, "snapshots.Dir.sweep", "one orphan of several may be gone"},
		{SnapshotBaseKept, "snapshots.Dir.writeBase", "the base that heaps are stored against has its file, no heap is stored"},

		{SocketBound, "control.place.publish", "a socket listens under another name than its own"},
		{SocketPublished, "control.place.publish", "a socket has its name, the host has no answer to its hello"},
		{SocketRemoved, "control.place.remove", "a daemon that ends has no socket any more"},

		{WorkerForked, "xsnap.Spawner.adopt", "a worker process runs, nothing was said to it"},
		{WorkerReady, "xsnap.Worker.Ready", "a worker has loaded its heap"},
		{BaseWritten, "xsnap.BaseCache.build", "a base snapshot is in a temporary file"},
		{BaseNamed, "xsnap.BaseCache.build", "a base snapshot has its name"},

		{SupervisorAligned, "supervisor.Supervisor.open", "the store stands where the host does, nothing else is open"},
		{SupervisorOpened, "supervisor.Supervisor.open", "all is open, the host has no answer to its hello"},
		{SupervisorEnqueued, "supervisor.Supervisor.enqueue", "items of the host's are in the open block, it is not told"},
		{SupervisorCrankBegun, "supervisor.Supervisor.tryCrank", "a crank is open and empty"},
		{SupervisorCrankEnding, "supervisor.crank.commit", "the host's half is closed, ours is not"},
		{SupervisorCrankKept, "supervisor.crank.commit", "both halves are in the block, workers and events wait"},
		{SupervisorCrankEffects, "supervisor.crank.commit", "workers have moved, events are told"},
		{SupervisorCrankUndone, "supervisor.crank.abort", "our half is undone, the host's is not"},
		{SupervisorTurnTaken, "supervisor.crank.itemCrank", "the item is out of its queue, the host does not know"},
		{SupervisorTurnAnswered, "supervisor.crank.itemCrank", "the host has made a delivery of the item"},
		{SupervisorDelivered, "supervisor.crank.deliverTo", "the worker has run the delivery, the host has not heard of it"},
		{SupervisorJudged, "supervisor.crank.decide", "the host has given its verdict"},
		{SupervisorRecorded, "supervisor.crank.record", "the delivery is in the transcript, within the crank"},
		{SupervisorAfterUndo, "supervisor.Supervisor.afterUndo", "a crank was undone, the vat has not been moved for it"},
		{SupervisorActed, "supervisor.crank.act", "an action is done within its crank, the host does not know"},
		{SupervisorActionFailed, "supervisor.Supervisor.afterFailedAction", "an action was undone, the host does not know"},
		{SupervisorDemand, "supervisor.Supervisor.startOnDemand", "a delivery waits for a vat that has to be started"},
		{SupervisorStartTold, "supervisor.crank.startIncarnation", "the host has given startVat, there is no worker"},
		{SupervisorStartReady, "supervisor.crank.startIncarnation", "a fresh worker has the bundle, the transcript is empty"},
		{SupervisorStarted, "supervisor.crank.startIncarnation", "startVat is recorded within the crank"},
		{SupervisorStartFailed, "supervisor.Supervisor.unsuspend", "startVat failed and was undone, the vat is not barred yet"},
		{SupervisorEndTold, "supervisor.crank.endIncarnation", "the host has disconnected the vat, the transcript goes on"},
		{SupervisorEnded, "supervisor.crank.endIncarnation", "the span is closed, the snapshot is still in use"},
		{SupervisorUpgradeLost, "supervisor.Supervisor.upgrade", "an upgrade failed and was undone, nobody was told"},
		{SupervisorBuried, "supervisor.crank.snapshot", "bringOutYourDead has run, the heap is not written"},
		{SupervisorHeapBegun, "supervisor.kit.saveHeap", "a successor waits for the heap, none has been written"},
		{SupervisorHeapStreamed, "supervisor.kit.saveHeap", "the heap has been written, its file has no name"},
		{SupervisorHeapStored, "supervisor.crank.snapshot", "the heap's hash is known, its file is being written, no row names it"},
		{SupervisorSnapshotted, "supervisor.crank.snapshot", "transcript and row name the heap, within the crank"},
		{SupervisorPageIn, "supervisor.Supervisor.online", "a vat is to be paged in, nothing is started"},
		{SupervisorHeapLoaded, "supervisor.Supervisor.revive", "the worker has the heap of the snapshot, nothing is replayed"},
		{SupervisorReplayed, "supervisor.rerun.again", "one delivery of the transcript is replayed"},
		{SupervisorPagedIn, "supervisor.Supervisor.online", "the vat is online"},
		{SupervisorPageOut, "supervisor.pool.remove", "a worker is about to end, nobody was told"},
		{SupervisorCleaned, "supervisor.Supervisor.cleanUpOnce", "some of a deferred deletion is done within its crank"},
		{SupervisorSettled, "supervisor.crank.catchUp", "a record that restart-all passed over is settled within a crank"},
		{SupervisorRestarted, "supervisor.Supervisor.restartAll", "the epoch is raised, no vat is started"},
		{SupervisorRestartedOne, "supervisor.Supervisor.startImmediate", "one vat of the immediate set has started"},
		{SupervisorFilesDurable, "supervisor.Supervisor.prepare", "the files that the block's rows name are durable, the block is not"},
		{SupervisorCommitted, "supervisor.Supervisor.commitBlock", "the block is finished, files that went out of use are still there"},
		{SupervisorTidied, "supervisor.Supervisor.commitBlock", "files that went out of use are gone, the host does not know that the block is finished"},
		{SupervisorRollback, "supervisor.Supervisor.rollback", "all workers are gone, the block is not dropped"},

		{HostOpened, "kernelhost.Kernel.open", "the host's database is open, there is no daemon"},
		{HostSpawned, "kernelhost.Kernel.open", "the daemon runs, nothing was said to it"},
		{HostGreeted, "kernelhost.Kernel.open", "the daemon has aligned itself"},
		{HostConfigured, "kernelhost.Kernel.initialize", "the daemon has configuration and bundles, in the open block"},
		{HostVatsMade, "kernelhost.Kernel.initialize", "all vats are registered on both sides, none has started"},
		{HostVatsStarted, "kernelhost.Kernel.initialize", "all vats have started, nothing is committed"},
		{HostVatMade, "kernelhost.Kernel.registerVats", "the daemon has registered vats, the host's crank is open"},
		{HostChangeEnqueued, "kernelhost.Kernel.change", "the daemon has items of a crank that the host has not kept"},
		{HostChangeKept, "kernelhost.Kernel.change", "a change of the host's own is part of the open block"},
		{HostCrankBegun, "kernelhost.callbacks.open", "the host's half of a crank is open and empty"},
		{HostTurn, "kernelhost.callbacks.translate", "an item has become a delivery, the daemon has no answer"},
		{HostCallNow, "kernelhost.callbacks.callNow", "a device was called, the vat has no answer"},
		{HostJudged, "kernelhost.callbacks.delivered", "the syscalls are done within the crank, the daemon has no verdict"},
		{HostCrankKept, "kernelhost.callbacks.commit", "the host's half is in the block, the daemon does not know"},
		{HostCrankAborted, "kernelhost.callbacks.crankAbort", "the host's half is undone, the daemon does not know"},
		{HostIncarnation, "kernelhost.callbacks.beginIncarnation", "startVat is made, the daemon has no answer"},
		{HostIncarnationEnd, "kernelhost.callbacks.endIncarnation", "a vat is disconnected within the crank, the daemon does not know"},
		{HostActed, "kernelhost.callbacks.acted", "an action's outcome is in the host's crank, the daemon does not know"},
		{HostRan, "kernelhost.Kernel.runBlock", "a run is over, nothing is committed"},
		{HostCleaned, "kernelhost.Kernel.cleanUp", "some of a terminated vat's keys are gone, in the open block"},
		{HostPrepared, "kernelhost.Kernel.commit", "the daemon has prepared the block, the host has not decided"},
		{HostCommitted, "kernelhost.Kernel.commit", "the host has committed the block, the daemon does not know"},
		{HostFinished, "kernelhost.Kernel.commit", "the block is committed on both sides, the caller does not know"},
		{HostReleased, "kernelhost.Kernel.releaseFrom", "outputs have left, the outbox still has them"},
		{HostForgotten, "kernelhost.Kernel.releaseFrom", "outputs that have left are gone from the outbox"},
		{HostRollback, "kernelhost.Kernel.rollback", "the host has dropped its block, the daemon has not"},
		{HostClosing, "kernelhost.Kernel.Close", "the daemon has ended, the host's database is open"},
	}
}
