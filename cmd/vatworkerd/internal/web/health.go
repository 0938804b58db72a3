package web

import (
	"fmt"
	"net/http"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// alarmBlock is the kind of alarm after which a daemon does no more work.
const alarmBlock = "block"

// panicOf gives why a daemon, or the process that stays with it, refuses to go
// on; "" if it does not.
func panicOf(l watch.Look) string {
	if l.Live.Panic != "" || l.Holder == nil {
		return l.Live.Panic
	}
	return l.Holder.Panic
}

// ill gives why a daemon cannot do its work; "" if it can.
func ill(l watch.Look, err error) string {
	if err != nil {
		return "there is no daemon: " + err.Error()
	}
	if reason := panicOf(l); reason != "" {
		return "panic: " + reason
	}
	for _, alarm := range l.Live.Alarms {
		if alarm.Kind == alarmBlock {
			return alarm.Message
		}
	}
	return ""
}

// healthz answers 200 if the daemon can do its work, else 503, and says why. What
// is wrong but hinders nobody is told, and healthy.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	look, err := s.source.now(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if reason := ill(look, err); reason != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, screen.Escape(reason))
		return
	}
	fmt.Fprintf(w, "ok, height %d, %s\n", look.Live.Height, screen.Plural(int64(len(look.Live.Alarms)), "alarm"))
}
