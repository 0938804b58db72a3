package pipeproto

import (
	"bytes"
	"testing"
)

func BenchmarkRoundTrip(b *testing.B) {
	host, daemon, closeHost, _ := pair(b, 0)
	wait := serving(daemon, funcs{request: func(_ string, body Body) (any, error) {
		var d Delivered
		if err := body.Decode(&d); err != nil {
			return nil, err
		}
		return &Verdict{Commit: true}, nil
	}})
	req := &Delivered{VatID: "v12", Purpose: PurposeItem, Status: StatusOK, Computrons: 1234567, Last: true,
		Syscalls: [][]byte{bytes.Repeat([]byte("s"), 200), bytes.Repeat([]byte("t"), 300)}}
	b.ReportAllocs()
	for b.Loop() {
		var v Verdict
		if err := host.Call(ReqDelivered, req, &v, nil); err != nil {
			b.Fatal(err)
		}
	}
	closeHost()
	if err := wait(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCodec is the round trip without the pipe and the goroutines.
func BenchmarkCodec(b *testing.B) {
	req := &Delivered{VatID: "v12", Syscalls: [][]byte{bytes.Repeat([]byte("s"), 200)}}
	enc, conn := newEncoder(), NewConn(nil, nil, 0)
	b.ReportAllocs()
	for b.Loop() {
		frame, err := enc.frame(envelope{kind: kindRequest, id: 1, msgType: ReqDelivered}, req, DefaultMaxFrameBytes)
		if err != nil {
			b.Fatal(err)
		}
		env, err := decodeEnvelope(frame[headerBytes:])
		if err != nil {
			b.Fatal(err)
		}
		var d Delivered
		if err := (&rawBody{conn: conn, env: env}).Decode(&d); err != nil {
			b.Fatal(err)
		}
	}
}
