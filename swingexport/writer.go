package swingexport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"vatworkerd/internal/staging"
)

// Writer writes an export. It belongs to one goroutine and ends with Finish or
// Discard.
type Writer struct {
	dir      *staging.Dir
	data     *file
	line     bytes.Buffer
	manifest manifest
}

// Create begins an export in dir, which must be empty or not be there yet.
// Errors: *staging.NotEmptyError, those of the disk.
func Create(dir string) (*Writer, error) {
	staged, err := staging.Begin(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make an export: %w", err)
	}
	w := &Writer{dir: staged, manifest: manifest{Data: dataFile, Artifacts: [][2]string{}}}
	if w.data, err = w.create(dataFile); err != nil {
		w.Discard()
		return nil, err
	}
	return w, nil
}

// Dir is where the export will be.
func (w *Writer) Dir() string { return w.dir.Target() }

// Record writes an export-data record.
func (w *Writer) Record(key, value string) error {
	if !utf8.ValidString(key) || !utf8.ValidString(value) {
		return fmt.Errorf("cannot export %.200q: it is not UTF-8 text, which JavaScript could not hold", key)
	}
	w.line.Reset()
	enc := json.NewEncoder(&w.line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode([2]string{key, value}); err != nil {
		return fmt.Errorf("cannot encode the record %s: %w", key, err)
	}
	_, err := w.data.Write(w.line.Bytes())
	return err
}

// Artifact writes the artifact of a name, which must do for a file's too. An
// error of write comes out as it is.
func (w *Writer) Artifact(name string, write func(io.Writer) error) error {
	if filepath.Base(name) != name {
		return fmt.Errorf("cannot export %.100q: it is no name of an artifact", name)
	}
	f, err := w.create(name)
	if err != nil {
		return err
	}
	if err := f.settle(write(f)); err != nil {
		return err
	}
	w.manifest.Artifacts = append(w.manifest.Artifacts, [2]string{name, name})
	return nil
}

// Finish writes the manifest and puts the export in its place. After an error
// nothing is left of it.
func (w *Writer) Finish(height int64, mode Mode) error {
	w.manifest.BlockHeight, w.manifest.ArtifactMode = height, mode
	if err := w.finish(); err != nil {
		w.Discard()
		return err
	}
	return w.dir.Publish()
}

func (w *Writer) finish() error {
	data := w.data
	w.data = nil
	if err := data.settle(nil); err != nil {
		return err
	}
	text, err := w.manifest.encode()
	if err != nil {
		return err
	}
	f, err := w.create(ManifestFile)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return f.settle(err)
}

// Discard removes what was written.
func (w *Writer) Discard() {
	if w.data != nil {
		_ = w.data.to.Close()
		w.data = nil
	}
	w.dir.Discard()
}

// file is a file that is being written.
type file struct {
	*bufio.Writer
	to *os.File
}

// fileBuffer is how many bytes are written at a time.
const fileBuffer = 256 << 10

func (w *Writer) create(name string) (*file, error) {
	to, err := os.OpenFile(filepath.Join(w.dir.Path(), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{Writer: bufio.NewWriterSize(to, fileBuffer), to: to}, nil
}

// settle makes the file durable and closes it; err is what writing it gave.
func (f *file) settle(err error) error {
	if err == nil {
		err = f.Flush()
	}
	if err == nil {
		err = f.to.Sync()
	}
	if closeErr := f.to.Close(); err == nil {
		err = closeErr
	}
	return err
}
