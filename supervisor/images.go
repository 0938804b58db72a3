package supervisor

import (
	"encoding/json"
	"fmt"

	"vatworkerd/xsnap"
)

// keyImage is where a worker image's paths are remembered, locally: another
// supervisor may keep the same image elsewhere.
const keyImage = "image."

// imagePaths say where the parts of an image were found last.
type imagePaths struct {
	Engine     string `json:"engine"`
	Lockdown   string `json:"lockdown"`
	Supervisor string `json:"supervisor"`
}

func (s *Supervisor) rememberImage(image xsnap.Image) error {
	text, err := json.Marshal(imagePaths{
		Engine: image.Engine.Path, Lockdown: image.Lockdown.Path, Supervisor: image.Supervisor.Path,
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
	text, ok, err := s.db.LocalGet(keyImage + rec.ImageID)
	if err != nil {
		return xsnap.Image{}, err
	}
	lost := &ImageError{VatID: rec.ID, ImageID: rec.ImageID}
	if !ok {
		return xsnap.Image{}, lost
	}
	if err := json.Unmarshal([]byte(text), &lost.paths); err != nil {
		return xsnap.Image{}, fmt.Errorf("cannot decode the paths of image %s: %w", rec.ImageID, err)
	}
	image, err := xsnap.LoadImage(lost.paths.Engine, lost.paths.Lockdown, lost.paths.Supervisor)
	if err != nil {
		lost.Err = err
		return xsnap.Image{}, lost
	}
	if image.ID() != rec.ImageID {
		lost.FoundID = image.ID()
		return xsnap.Image{}, lost
	}
	s.images[rec.ImageID] = image
	return image, nil
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
