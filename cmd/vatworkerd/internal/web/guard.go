package web

import (
	"net"
	"net/http"
	"os"
	"strings"
)

// names are those by which a server may be called. A page of another site that
// has its own name resolved to this machine's address must not read what is
// served here.
type names struct {
	exact  map[string]bool
	anyIP  bool
	port   string
	isHTTP bool // port 80, which browsers leave out
}

func namesFor(address *net.TCPAddr, anywhere bool) names {
	_, port, _ := net.SplitHostPort(address.String())
	n := names{exact: map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, address.IP.String(): true}, port: port, isHTTP: address.Port == 80}
	if anywhere {
		n.anyIP = true
		if name, err := os.Hostname(); err == nil {
			n.exact[strings.ToLower(name)] = true
		}
	}
	return n
}

func (n names) has(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		if !n.isHTTP {
			return false
		}
		name, port = strings.Trim(host, "[]"), n.port
	}
	if port != n.port {
		return false
	}
	return n.exact[strings.ToLower(name)] || n.anyIP && net.ParseIP(name) != nil
}

// guarded refuses what is not asked of this server by its name, or asks for more
// than to look; and tells browsers what the pages may do, which is nothing.
func guarded(n names, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !n.has(r.Host):
			http.Error(w, "this server has another name", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "here one can only look", http.StatusMethodNotAllowed)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
