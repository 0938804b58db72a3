package delta

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// sample is the heap snapshot named by an environment variable, else a made-up one.
func sample(b *testing.B, variable string, seed uint64) []byte {
	path := os.Getenv(variable)
	if path == "" {
		return heap(noise(5<<20, 1), append(values(100, seed), values(90_000, 1)...))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkBase(b *testing.B) {
	content := sample(b, "SNAPSHOT_BASE", 1)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		NewBase(content).once.Do(func() {})
	}
}

func BenchmarkEncode(b *testing.B) {
	base, content := NewBase(sample(b, "SNAPSHOT_BASE", 1)), sample(b, "SNAPSHOT_SAMPLE", 2)
	var out bytes.Buffer
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		out.Reset()
		e := NewEncoder(&out, base)
		_, _ = e.Write(content)
		_ = e.Close()
	}
	b.ReportMetric(float64(out.Len()), "delta-bytes")
}

func BenchmarkDecode(b *testing.B) {
	base, content := NewBase(sample(b, "SNAPSHOT_BASE", 1)), sample(b, "SNAPSHOT_SAMPLE", 2)
	delta := encode(b, base, content)
	b.SetBytes(int64(len(content)))
	buf := make([]byte, maxBlockBytes)
	for b.Loop() {
		d := NewDecoder(bytes.NewReader(delta), base)
		for err := error(nil); err != io.EOF; {
			if _, err = d.Read(buf); err != nil && err != io.EOF {
				b.Fatal(err)
			}
		}
	}
}
