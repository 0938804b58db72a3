package kernelhost_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
)

// clock is a device whose time goes on by one with every call.
func clock() kernelhost.Device {
	return kernelhost.Device{Name: "clock", Invoke: func(call *kernelhost.Invocation) (capdata.CapData, error) {
		if call.Method != "now" {
			return capdata.CapData{}, fmt.Errorf("a clock cannot %s", call.Method)
		}
		text, _ := call.Get("time")
		now, _ := strconv.ParseInt(text, 10, 64)
		call.Set("time", strconv.FormatInt(now+1, 10))
		return capdata.Int(now), nil
	}}
}

// openExample opens a kernel with the vats of testdata/example.json.
func openExample(ctx context.Context, dir string) (*kernelhost.Kernel, error) {
	options := kernelhost.RealOptions(dir) // in a program: Options{DBDir: dir, Daemon: []string{"vatworkerd", "serve"}}
	options.Devices = []kernelhost.Device{clock()}
	k, err := kernelhost.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Parse("testdata/example.json", "clock")
	if err == nil {
		err = cfg.ResolveBundles(ctx, nil, nil)
	}
	if err == nil {
		_, err = k.Initialize(ctx, cfg)
	}
	if err == nil {
		_, err = k.Run(ctx, kernelhost.Budget{})
	}
	if err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// A program sends messages with Go values and reads the results.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	k, err := openExample(ctx, dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer k.Close()

	promise, err := k.Send(ctx, "child", "hello", "Go")
	if err != nil {
		fmt.Println(err)
		return
	}
	greeting, err := k.Await(ctx, promise, kernelhost.Budget{Cranks: 100})
	fmt.Println(greeting, err)

	promise, _ = k.Send(ctx, "child", "fail")
	_, err = k.Await(ctx, promise, kernelhost.Budget{})
	var rejected *kernelhost.RejectedError
	fmt.Println(errors.As(err, &rejected), err)

	for range 2 {
		promise, _ = k.Send(ctx, "bootstrap", "call", "clock", "now")
		now, err := k.Await(ctx, promise, kernelhost.Budget{})
		fmt.Println("it is", now, err)
	}
	// Output:
	// hello Go from the library <nil>
	// true Error: failed as asked
	// it is 0 <nil>
	// it is 1 <nil>
}

// A host with blocks of its own, such as a blockchain node, runs the vats under a
// budget and decides itself when a block ends, and whether it is kept.
func ExampleBudget() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	k, err := openExample(ctx, dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer k.Close()

	before := k.Height()
	for range 3 {
		if _, err := k.Send(ctx, "child", "count"); err != nil {
			fmt.Println(err)
			return
		}
	}
	ran, err := k.Run(ctx, kernelhost.Budget{Computrons: 1, KeepOpen: true})
	fmt.Println("one crank:", ran.Cranks, "idle:", ran.Idle, err)
	fmt.Println("commit:", k.Commit(ctx), "blocks:", k.Height()-before)

	_, err = k.Run(ctx, kernelhost.Budget{KeepOpen: true})
	fmt.Println("the rest:", err)
	fmt.Println("rollback:", k.Rollback(ctx))

	promise, _ := k.Send(ctx, "child", "count")
	count, err := k.Await(ctx, promise, kernelhost.Budget{})
	fmt.Println("counted:", count, err)
	// Output:
	// one crank: 1 idle: false <nil>
	// commit: <nil> blocks: 1
	// the rest: <nil>
	// rollback: <nil>
	// counted: 4 <nil>
}
