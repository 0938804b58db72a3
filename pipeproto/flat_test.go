package pipeproto

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzFlat: what parseFlat takes apart is what the general way takes apart, and
// a frame it leaves alone is judged by that alone.
func FuzzFlat(f *testing.F) {
	for _, body := range workerBodies() {
		f.Add(leanFrame(KindRequest, 300, "issueCommand", body)[headerBytes:])
	}
	for _, seed := range []string{
		"\x94\x01\x01\xa1x\x80", "\x94\x01\x01\xa1x\x81\xa1b\xc4\x01x", "\x94\x01\x01\xa1x\x81\xa1b\xc6\x00\x00\x00\x02x", "\x94\x01\x01\xa1x\xc0",
		"\x94\x04\x00\xa1x\x82\xa1a\x01\xa1b\xcf\x00", "\x94\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x01\xa1x\x80", "\x94\x02\xcd\x01", "\x94\x05\x01\xa1x\x80",
		"\x94\x01\x00\xa1x\x80", "\x94\x01\x01\xa0\x80", "\x94\x01\x01\xa1x\x81\x01\x01", "\x94\x01\x01\xa1x\x80\x80",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		got, gotErr := ParseMessage(frame)
		want, wantErr := Message{}, checkMsgpack(frame)
		if wantErr == nil {
			want, wantErr = splitEnvelope(frame)
		}
		var broken *FrameError
		if (gotErr == nil) != (wantErr == nil) || gotErr != nil && !errors.As(gotErr, &broken) {
			t.Fatalf("%x: got %v, want %v", frame, gotErr, wantErr)
		}
		if gotErr != nil {
			return
		}
		if got.Kind != want.Kind || got.ID != want.ID || !bytes.Equal(got.Type, want.Type) || !bytes.Equal(got.body, want.body) {
			t.Fatalf("%x: got %+v, want %+v", frame, got, want)
		}
		for _, name := range []string{"", "b", "command"} {
			a, ok := got.onlyBinary(name)
			if !ok {
				continue
			}
			s, found, err := got.field(name)
			if err != nil || !found {
				t.Fatalf("%x: field %q is not there: %v", frame, name, err)
			}
			sh, err := s.head()
			if err != nil || !bytes.Equal(a, s.data[s.pos:s.pos+sh.payload]) {
				t.Fatalf("%x: field %q is %x, %v", frame, name, a, err)
			}
		}
	})
}
