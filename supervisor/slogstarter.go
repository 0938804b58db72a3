package supervisor

import (
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"vatworkerd/slogfile"
	"vatworkerd/xsnap"
)

// slogStarter writes of the processes of another starter: when they start, what
// they are, and how they end.
type slogStarter struct {
	starter
	slog *slog
	ends sync.WaitGroup
}

// withSlog gives the starter itself if there is no slog.
func withSlog(inner starter, l *slog) starter {
	if l == nil {
		return inner
	}
	return &slogStarter{starter: inner, slog: l}
}

func (s *slogStarter) fresh(image xsnap.Image, o xsnap.StartOptions) (process, error) {
	return s.start(image, o, func() (process, error) { return s.starter.fresh(image, o) })
}

func (s *slogStarter) fromHeap(image xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error) {
	return s.start(image, o, func() (process, error) { return s.starter.fromHeap(image, o, heap) })
}

func (s *slogStarter) hull(image xsnap.Image, o xsnap.StartOptions, shape xsnap.Shape) (process, error) {
	return s.start(image, o, func() (process, error) { return s.starter.hull(image, o, shape) })
}

// close waits for the ends of all processes to be written.
func (s *slogStarter) close() {
	s.starter.close()
	s.ends.Wait()
}

func (s *slogStarter) start(image xsnap.Image, o xsnap.StartOptions, start func() (process, error)) (process, error) {
	vatID := vatOfWorker(o.Name)
	began := time.Now()
	if vatID != "" {
		s.slog.file.Write(&slogfile.OfVat{Type: slogfile.TypeStartup, VatID: vatID})
		defer func() {
			e := &slogfile.OfVat{Type: slogfile.TypeStarted, VatID: vatID}
			e.Took(began)
			s.slog.file.Write(e)
		}()
	}
	p, err := start()
	if err != nil {
		s.slog.file.Write(&slogfile.Worker{Type: slogfile.TypeWorkerExit, VatID: vatID, Reason: err.Error()})
		return nil, err
	}
	pid := p.PID()
	s.slog.file.Write(&slogfile.Worker{
		Type: slogfile.TypeWorkerStart, VatID: vatID, PID: pid, Argv: []string{filepath.Base(image.Engine.Path), o.Name}, Engine: image.Engine.SHA256,
	})
	s.ends.Go(func() {
		<-p.Exited()
		s.slog.file.Write(&slogfile.Worker{Type: slogfile.TypeWorkerExit, VatID: vatID, PID: pid, Reason: p.Ending()})
	})
	return p, nil
}

// vatOfWorker gives the vat in a worker's name; a spare is none's yet.
func vatOfWorker(name string) string {
	vatID, _, ok := strings.Cut(name, ":")
	if !ok {
		return ""
	}
	return vatID
}
