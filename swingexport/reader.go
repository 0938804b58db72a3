package swingexport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vatworkerd/pipeproto"
)

// maxLineBytes bounds a record of the export data, so that a hostile file cannot
// take all memory. Records hold single keys of vats: JavaScript's strings end at
// 512 MiB.
const maxLineBytes = 1 << 30

// Export is an export that is read. Its methods may be called from any goroutine.
type Export struct {
	dir       string
	manifest  manifest
	artifacts map[string]string // files by name
}

// IsExport tells whether dir has the manifest of an export.
func IsExport(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ManifestFile))
	return err == nil
}

// Open reads the manifest of the export in dir. Errors: *NotExportError.
func Open(dir string) (*Export, error) {
	e := &Export{dir: dir, artifacts: map[string]string{}}
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &NotExportError{Dir: dir, Why: "it has no " + ManifestFile}
	case err != nil:
		return nil, &NotExportError{Dir: dir, Why: err.Error()}
	}
	if err := json.Unmarshal(text, &e.manifest); err != nil {
		return nil, &NotExportError{Dir: dir, Why: fmt.Sprintf("its %s is not as it should be: %v", ManifestFile, err)}
	}
	if err := e.manifest.check(); err != nil {
		return nil, &NotExportError{Dir: dir, Why: err.Error()}
	}
	for _, artifact := range e.manifest.Artifacts {
		e.artifacts[artifact[0]] = artifact[1]
	}
	return e, nil
}

// Dir is the export's directory.
func (e *Export) Dir() string { return e.dir }

// Height is the height of the block that the export is of.
func (e *Export) Height() int64 { return e.manifest.BlockHeight }

// Mode tells which artifacts the export claims to have; empty if it does not say.
func (e *Export) Mode() Mode { return e.manifest.ArtifactMode }

// Has tells whether the export has an artifact.
func (e *Export) Has(name string) bool { return e.artifacts[name] != "" }

// Records calls f for each export-data record, in order. A later record of a key
// takes the place of an earlier one; a value that is nil deletes it. An error of f
// ends the walk and comes out as it is. Errors: *BadError, those of the disk.
func (e *Export) Records(f func(key string, value *string) error) error {
	file, err := e.open(e.manifest.Data)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, fileBuffer), maxLineBytes)
	number := 0
	for lines.Scan() {
		number++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		key, value, err := parseRecord(lines.Bytes())
		if err != nil {
			return &BadError{Place: fmt.Sprintf("%s line %d", e.manifest.Data, number), What: err.Error()}
		}
		if err := f(key, value); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return &BadError{Place: fmt.Sprintf("%s line %d", e.manifest.Data, number+1), What: "it cannot be read", Err: err}
	}
	return nil
}

// parseRecord reads ["key","value"], ["key",null] or ["key"].
func parseRecord(line []byte) (key string, value *string, err error) {
	var record []*string
	if err := json.Unmarshal(line, &record); err != nil || len(record) < 1 || len(record) > 2 || record[0] == nil {
		return "", nil, errors.New("it is no record: a key and a value were expected")
	}
	if len(record) == 2 {
		value = record[1]
	}
	return *record[0], value, nil
}

// Artifact opens an artifact; the caller closes it. Errors: *BadError.
func (e *Export) Artifact(name string) (io.ReadCloser, error) {
	file, ok := e.artifacts[name]
	if !ok {
		return nil, &BadError{Place: name, What: "the export does not have this artifact"}
	}
	return e.open(file)
}

// open opens a file of the export, which must be a regular one.
func (e *Export) open(name string) (*os.File, error) {
	path := filepath.Join(e.dir, name)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &BadError{Place: name, What: "the file is missing"}
	case err != nil:
		return nil, &BadError{Place: name, What: "it cannot be read", Err: err}
	case !info.Mode().IsRegular():
		return nil, &BadError{Place: name, What: "it is no regular file"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, &BadError{Place: name, What: "it cannot be read", Err: err}
	}
	return file, nil
}

// NotExportError says that a directory holds no export.
type NotExportError struct {
	Dir string
	Why string
}

func (e *NotExportError) Error() string {
	return fmt.Sprintf("there is no export in %s: %s", e.Dir, e.Why)
}

// ErrorCode is the error's code on the pipe.
func (e *NotExportError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *NotExportError) ErrorHint() string {
	return fmt.Sprintf("name the directory that has %s; nothing was changed", ManifestFile)
}

// BadError says that a part of an export is missing, damaged or altered.
type BadError struct {
	Place     string // the artifact, record, or line of a file
	What      string
	Want, Got string // hashes or numbers, where there are any
	Err       error
}

func (e *BadError) Error() string {
	text := fmt.Sprintf("cannot import %s: %s", e.Place, e.What)
	if e.Want != "" {
		text += fmt.Sprintf(": %s is recorded, it has %s", e.Want, e.Got)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the error that is the reason, if one is.
func (e *BadError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *BadError) ErrorCode() string { return pipeproto.CodeCorrupt }

// ErrorHint is the user's next step.
func (e *BadError) ErrorHint() string {
	return "get a sound copy of the export; nothing was changed"
}
