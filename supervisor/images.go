package supervisor

import (
	"encoding/json"
	"fmt"

	"vatworkerd/store"
	"vatworkerd/xsnap"
)

// keyImage is where a worker image's paths are remembered, locally: another
// supervisor may keep the same image elsewhere.
const keyImage = "image."

// imagePaths say where the parts of an image were found last, and of which kind
// its engine is.
type imagePaths struct {
	Kind       string `json:"kind,omitempty"`
	Engine     string `json:"engine"`
	Lockdown   string `json:"lockdown"`
	Supervisor string `json:"supervisor"`
}

func (s *Supervisor) rememberImage(image xsnap.Image) error {
	text, err := json.Marshal(imagePaths{
		Kind: image.Engine.Kind.String(), Engine: image.Engine.Path, Lockdown: image.Lockdown.Path, Supervisor: image.Supervisor.Path,
	})
	if err != nil {
		return fmt.Errorf("cannot encode image paths: %w", err)
	}
	// Opening a store only to look at it shall leave its files as they are.
	known, ok, err := s.db.LocalGet(keyImage + image.ID())
	if err != nil || (ok && known == string(text)) {
		return err
	}
	return s.db.LocalSet(keyImage+image.ID(), string(text))
}

// imageOf gives the image that a vat's incarnation was started on. Only that
// one may run it: its heap and transcript mean nothing to another.
func (s *Supervisor) imageOf(rec *record) (xsnap.Image, error) {
	if image, ok := s.images[rec.ImageID]; ok {
		return image, nil
	}
	image, err := findImage(s.db, rec.ID, rec.ImageID)
	if err != nil {
		return xsnap.Image{}, err
	}
	s.images[rec.ImageID] = image
	return image, nil
}

// findImage loads an image from where it was found last, for a vat.
func findImage(src store.Source, vatID, imageID string) (xsnap.Image, error) {
	lost := &ImageError{VatID: vatID, ImageID: imageID}
	ok, err := recallImage(src, imageID, &lost.paths)
	if err != nil {
		return xsnap.Image{}, err
	}
	if !ok {
		return xsnap.Image{}, lost
	}
	image, err := xsnap.LoadImage(lost.paths.Engine, lost.paths.Lockdown, lost.paths.Supervisor)
	if err != nil {
		lost.Err = err
		return xsnap.Image{}, lost
	}
	if image.ID() != imageID {
		lost.FoundID = image.ID()
		return xsnap.Image{}, lost
	}
	return image, nil
}

// recallImage tells where an image was found last, or returns false.
func recallImage(src store.Source, imageID string, paths *imagePaths) (bool, error) {
	text, ok, err := src.LocalGet(keyImage + imageID)
	if err != nil || !ok {
		return false, err
	}
	if err := json.Unmarshal([]byte(text), paths); err != nil {
		return false, fmt.Errorf("cannot decode the paths of image %s: %w", imageID, err)
	}
	return true, nil
}

// engineKind is that of an image's engine, or empty if it is not known here.
func (s *Supervisor) engineKind(imageID string) (string, error) {
	if imageID == "" {
		return "", nil
	}
	if image, ok := s.images[imageID]; ok {
		return image.Engine.Kind.String(), nil
	}
	var paths imagePaths
	_, err := recallImage(s.db, imageID, &paths)
	return paths.Kind, err
}

// ImageError reports an incarnation whose worker image is not here: missing,
// or not what it was.
type ImageError struct {
	VatID   string
	ImageID string
	FoundID string
	Err     error
	paths   imagePaths
}

func (e *ImageError) Error() string {
	what := "it was never seen here"
	switch {
	case e.Err != nil:
		what = e.Err.Error()
	case e.FoundID != "":
		what = fmt.Sprintf("%s (with %s and %s) is now image %s", e.paths.Engine, e.paths.Lockdown, e.paths.Supervisor, e.FoundID)
	}
	return fmt.Sprintf("cannot run %s: its incarnation needs worker image %s: %s; "+
		"put that engine build back, or move the vats to the present engine with restart-all", e.VatID, e.ImageID, what)
}
func (e *ImageError) Unwrap() error { return e.Err }
