package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/pipeproto"
)

//go:embed pages
var files embed.FS

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.overview)
	mux.HandleFunc("/vats", s.vats)
	mux.HandleFunc("/vats/{vat}", s.vat)
	mux.HandleFunc("/troubles", s.troubles)
	mux.HandleFunc("/metrics", s.metrics)
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/style.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "pages/style.css") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &pipeproto.Error{Code: pipeproto.CodeNotFound, Message: "there is no such page"})
	})
	return mux
}

func (s *Server) overview(w http.ResponseWriter, r *http.Request) {
	look, err := s.source.now(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, "overview", "Overview", overviewOf(look, s.source.points()))
}

// choice is how the list of vats is sorted and filtered.
type choice struct {
	Sort, State, Text string
	Reverse           bool
}

// choiceOf reads the query; what cannot be meant is a bad request.
func choiceOf(q url.Values) (choice, error) {
	c := choice{Sort: watch.ByVat, State: watch.Every, Text: q.Get("q"), Reverse: q.Get("reverse") == "1"}
	for _, word := range []struct {
		key   string
		value *string
		known []string
	}{{"sort", &c.Sort, watch.Keys()}, {"state", &c.State, watch.States()}} {
		given := q.Get(word.key)
		if given == "" {
			continue
		}
		if !slices.Contains(word.known, given) {
			return c, pipeproto.Errorf(pipeproto.CodeBadRequest, "cannot use %s=%s: it is one of %s", word.key, given, strings.Join(word.known, ", "))
		}
		*word.value = given
	}
	return c, nil
}

// By gives the query that sorts by a key; the other way round if it does so
// already.
func (c choice) By(key string) template.URL {
	q := url.Values{"sort": {key}, "state": {c.State}, "q": {c.Text}}
	if c.Sort == key && !c.Reverse {
		q.Set("reverse", "1")
	}
	return template.URL("?" + q.Encode())
}

// Order is the aria-sort of a column.
func (c choice) Order(key string) string {
	switch {
	case c.Sort != key:
		return "none"
	case c.Reverse:
		return "descending"
	}
	return "ascending"
}

// column is the head of a column that can be sorted by.
type column struct {
	Title, Class string
	URL          template.URL
	Order        string
}

// States gives the states to choose from.
func (choice) States() []string { return watch.States() }

// listPage is what the page of vats shows.
type listPage struct {
	vatsDoc
	Choice choice `json:"-"` // of what the page itself shows
}

func (s *Server) vats(w http.ResponseWriter, r *http.Request) {
	c, err := choiceOf(r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	look, err := s.source.now(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	all, vats, busy := s.source.rows(r.Context(), look)
	rows := watch.Filter(all, c.State, c.Text)
	watch.Sort(rows, c.Sort, c.Reverse)
	s.show(w, r, "vats", "Vats", listPage{vatsDoc{At: look.At, Busy: words(busy), More: vats.More, Vats: vatRowsOf(rows)}, c})
}

func (s *Server) vat(w http.ResponseWriter, r *http.Request) {
	look, err := s.source.now(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	detail, err := s.source.detail(r.Context(), r.PathValue("vat"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, "vat", detail.Vat.VatID+" "+detail.Vat.Name, vatDocOf(look, detail))
}

func (s *Server) troubles(w http.ResponseWriter, r *http.Request) {
	look, err := s.source.now(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	all, _, busy := s.source.rows(r.Context(), look)
	s.show(w, r, "troubles", "Troubles", troublesDoc{
		At: look.At, Panic: panicOf(look), Alarms: look.Live.Alarms, Warnings: look.Live.Warnings, Deaths: look.Live.Totals.WorkerDeaths,
		Failed: vatRowsOf(watch.Filter(all, watch.Failed, "")), Busy: words(busy),
	})
}

func words(err error) *string {
	if err == nil {
		return nil
	}
	return &pipeproto.ErrorOf(err).Message
}

// page is what every template is given.
type page struct {
	Title   string
	Path    string
	Refresh bool         // the page asks for itself again after a while
	Other   template.URL // this page with the other choice of that
	Twin    template.URL
	Shown   time.Time
	Body    any
}

// show writes a page, or its JSON twin.
func (s *Server) show(w http.ResponseWriter, r *http.Request, name, title string, body any) {
	if r.URL.Query().Get("format") == "json" {
		writeJSON(w, http.StatusOK, body)
		return
	}
	s.render(w, http.StatusOK, name, pageOf(r, title, body))
}

func pageOf(r *http.Request, title string, body any) page {
	q := r.URL.Query()
	isStill := q.Get("refresh") == "off"
	query := func(key, value string) template.URL {
		changed := maps.Clone(q)
		changed.Set(key, value)
		return template.URL("?" + changed.Encode())
	}
	other := "off"
	if isStill {
		other = "on"
	}
	return page{
		Title: title, Path: r.URL.Path, Refresh: !isStill, Other: query("refresh", other), Twin: query("format", "json"),
		Shown: time.Now(), Body: body,
	}
}

func (s *Server) render(w http.ResponseWriter, status int, name string, p page) {
	t, err := template.New("layout.html").Funcs(functions()).ParseFS(files, "pages/layout.html", "pages/"+name+".html")
	var b bytes.Buffer
	if err == nil {
		err = t.Execute(&b, p)
	}
	if err != nil {
		http.Error(w, "cannot make this page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	if err := screen.WriteJSON(&b, v); err != nil {
		http.Error(w, "cannot make this document: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// errorDoc is the document of an error, as that of a command.
type errorDoc struct {
	Error *pipeproto.Error `json:"error"`
}

// fail says why there is nothing to show: 404 for what is not there, 503 for
// what may be there later.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	told := pipeproto.ErrorOf(err)
	status := http.StatusServiceUnavailable
	switch told.Code {
	case pipeproto.CodeNotFound:
		status = http.StatusNotFound
	case pipeproto.CodeBadRequest:
		status = http.StatusBadRequest
	default:
		w.Header().Set("Retry-After", "5")
	}
	if r.URL.Query().Get("format") == "json" {
		writeJSON(w, status, errorDoc{told})
		return
	}
	s.render(w, status, "error", pageOf(r, http.StatusText(status), told))
}

// functions are what templates can call.
func functions() template.FuncMap {
	return template.FuncMap{
		"bytes": screen.Bytes, "count": screen.Count, "short": screen.Short, "millis": screen.Millis, "plural": screen.Plural,
		"safe": screen.Escape, "age": func(micros int64) string { return screen.Age(time.Duration(micros) * time.Microsecond) },
		"clock":  func(micros int64) string { return time.UnixMicro(micros).Format(time.DateTime) },
		"time":   func(t time.Time) string { return t.Local().Format(time.DateTime) },
		"charts": overviewCharts, "heap": heapChart, "pageIns": pageInChart,
		"link": func(vatID string) template.URL { return template.URL("/vats/" + url.PathEscape(vatID)) },
		"class": func(state string) string {
			return "state-" + strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' {
					return r
				}
				return '-'
			}, state)
		},
		"column": func(c choice, key, title, class string) column {
			return column{Title: title, Class: class, URL: c.By(key), Order: c.Order(key)}
		},
		"text": func(v any) string { return screen.Escape(fmt.Sprint(v)) },
	}
}
