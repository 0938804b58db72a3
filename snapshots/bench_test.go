package snapshots

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// sample is the snapshot named by SNAPSHOT_SAMPLE, else made-up bytes.
func sample(b *testing.B) []byte {
	path := os.Getenv("SNAPSHOT_SAMPLE")
	if path == "" {
		return content(8<<20, 1)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// BenchmarkLevels compares the encoder's levels, alone and beside the writer.
func BenchmarkLevels(b *testing.B) {
	data := sample(b)
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		for _, jobs := range []int{1, 2} {
			b.Run(level.String()+[]string{"", "/alone", "/beside"}[jobs], func(b *testing.B) {
				enc, err := newEncoder(level, jobs)
				if err != nil {
					b.Fatal(err)
				}
				defer enc.Close()
				b.SetBytes(int64(len(data)))
				var out bytes.Buffer
				for b.Loop() {
					out.Reset()
					enc.Reset(&out)
					if _, err := io.Copy(enc, bytes.NewReader(data)); err != nil {
						b.Fatal(err)
					}
					if err := enc.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(out.Len()), "stored-bytes")
			})
		}
	}
}

// BenchmarkSave is hash, compression, sync and rename of a snapshot.
func BenchmarkSave(b *testing.B) {
	data := sample(b)
	d := openDir(b, OSFS{})
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		info := mustSave(b, d, data)
		if err := d.Remove(info.Hash); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad is decompression and verification of a snapshot.
func BenchmarkLoad(b *testing.B) {
	data := sample(b)
	d := openDir(b, OSFS{})
	info := mustSave(b, d, data)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := d.Verify(info.Hash); err != nil {
			b.Fatal(err)
		}
	}
}
