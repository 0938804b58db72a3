package main

import (
	"context"
	"fmt"

	"vatworkerd/xsnap"
)

func (a *app) checkEngine() finding {
	paths, err := a.engineFor(a.db)
	if err != nil {
		return found("engine", "", err)
	}
	image, err := paths.load()
	return found("engine", fmt.Sprintf("%s, %s, image %s", image.Engine.Version, image.Engine.Path, short(image.ID())), err)
}

// testEngines starts a worker of the engine that would be used, and, unless that
// was named, of each other one that there is.
func (a *app) testEngines(ctx context.Context) (findings []finding) {
	chosen, err := a.engineFor(a.db)
	if err == nil {
		findings = append(findings, a.testEngine(ctx, chosen))
	}
	if a.engine != "" {
		return findings
	}
	for _, built := range builtEngines() {
		if paths, err := built.find(); err == nil && paths != chosen {
			findings = append(findings, a.testEngine(ctx, paths))
		}
	}
	return findings
}

// testEngine compares a worker's heap with the one that engines of its version
// have everywhere: an engine that computes otherwise would be found out by a
// network only when its node disagrees.
func (a *app) testEngine(ctx context.Context, paths enginePaths) finding {
	image, err := paths.load()
	if err != nil {
		return found("self-test", "", err)
	}
	heap, err := xsnap.SelfTest(ctx, image, xsnap.StartOptions{
		Name: "self-test", CPU: -1, Sandbox: a.workers.policy(), Limits: a.workers.limits(), Watch: a.workers.watch, HugePages: a.workers.huge,
	})
	if err != nil {
		return finding{Check: "self-test", Detail: err.Error(), Hint: "no vat runs on this engine; with --sandbox off, doctor tells whether containment is why"}
	}
	return judgeHeap(fmt.Sprintf("%v engine %s", image.Engine.Kind, short(image.Engine.SHA256)), heap, xsnap.KnownHeap(image))
}

func judgeHeap(engine, heap, known string) finding {
	switch known {
	case heap:
		return found("self-test", fmt.Sprintf("%s: its worker has the heap that is known, %s", engine, short(heap)), nil)
	case "":
		return found("self-test", fmt.Sprintf("%s: its worker has the heap %s; which one it should have is not known", engine, short(heap)), nil)
	}
	return finding{
		Check: "self-test", Detail: fmt.Sprintf("%s: its worker has the heap %s, elsewhere it is %s", engine, short(heap), short(known)),
		Hint: "this engine does not compute as it does elsewhere: take that of a release, or build it with another compiler",
	}
}
