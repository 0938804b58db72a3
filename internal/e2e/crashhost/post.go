package main

import (
	"os"

	"vatworkerd/internal/blockhost"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
)

// post is a device that emits what it is given; what leaves is printed.
func post() kernelhost.Device {
	return kernelhost.Device{
		Name: "post",
		Invoke: func(call *kernelhost.Invocation) (capdata.CapData, error) {
			args, err := capdata.Elements(call.Args)
			if err != nil {
				return capdata.CapData{}, err
			}
			id, err := call.Emit(args[0].Body)
			return capdata.Int(id), err
		},
		Release: func(o kernelhost.Output) error {
			_, err := blockhost.OutputLine(o).WriteTo(os.Stdout)
			return err
		},
	}
}
