# Sourced by the build scripts: where things are, and how they report.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
NPM_DIR=$ROOT/build/npm
LOCK=$ROOT/xsnap/npm/package-lock.json

# fail MESSAGE: one line on stderr, exit 1.
fail() {
	printf '%s: %s\n' "$WHAT" "$1" >&2
	exit 1
}

# progress MESSAGE: one line on stderr, so that stdout stays the program's own.
progress() {
	printf '%s: %s\n' "$WHAT" "$1" >&2
}

# run_logged LOG COMMAND...: quiet unless it fails; then the log's end and its place.
run_logged() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 && return
	tail -n 25 "$log" >&2
	fail "cannot finish: $1 failed; the whole log is $log"
}

# install_pinned SOURCE DIR: the packages that SOURCE/package.json and its
# lockfile pin, into DIR, once per lockfile. Install scripts never run.
install_pinned() {
	local source=$1 dir=$2 key lock=$1/package-lock.json stamp=$2/.installed
	key=$(cat "$source/package.json" "$lock" | sha256sum | cut -d' ' -f1)
	if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then return; fi
	mkdir -p "$dir"
	rm -f "$stamp"
	cp "$source/package.json" "$lock" "$dir/"
	progress "installing $(grep -c '^    "node_modules/' "$lock") packages into ${dir#"$ROOT/"}"
	(cd "$dir" && run_logged "$dir.log" npm ci --ignore-scripts --omit-lockfile-registry-resolved \
		--no-audit --no-fund --no-update-notifier --loglevel=error)
	printf '%s\n' "$key" >"$stamp"
}

# cache_dir: prints where results are kept between clones; build/cache where
# there is no usable home.
cache_dir() {
	local dir=${VATWORKERD_CACHE:-}
	if [ -z "$dir" ] && [ -n "${XDG_CACHE_HOME:-}" ]; then dir=$XDG_CACHE_HOME/vatworkerd; fi
	if [ -z "$dir" ] && [ -n "${HOME:-}" ]; then dir=$HOME/.cache/vatworkerd; fi
	if [ -z "$dir" ] || ! mkdir -p "$dir" 2>/dev/null || [ ! -w "$dir" ]; then
		dir=$ROOT/build/cache
		mkdir -p "$dir"
	fi
	printf '%s\n' "$dir"
}

# fail_with_log MESSAGE: the end of the log $log, then fail.
fail_with_log() {
	tail -n 25 "$log" >&2
	fail "$1; the whole log is $log"
}

# count_files TOTAL: turns the compiler's output into a few progress lines.
count_files() {
	awk -v total="$1" -v what="$WHAT" '
		/: cc / { n++; if (n % 10 == 0) { printf "%s: compiled %d of %d files\n", what, n, total; fflush() } }' >&2
}

# cc_takes FLAG: the compiler knows the flag.
cc_takes() {
	cc "$1" -Werror -x c -fsyntax-only /dev/null 2>/dev/null
}

# keep FILE CACHED: puts a file into the cache, with its sum.
keep() {
	place "$1" "$2"
	sha256sum <"$1" >"$2.sha256"
}

# cache_is_sound CACHED: it is there, and is what was put there.
cache_is_sound() {
	[ -r "$1" ] && [ -f "$1.sha256" ] && sha256sum --check --status "$1.sha256" <"$1"
}

# place FROM TO: a copy that appears whole or not at all.
place() {
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2.new.$$"
	mv "$2.new.$$" "$2"
}

# fill_out WORKER: a worker with its two bundles in the directory $out, each with
# its bare digest in NAME.sha256; $key tells the next run that nothing is to do.
fill_out() {
	local dist=$NPM_DIR/node_modules/@agoric name
	rm -f "$out/.key"
	place "$1" "$out/$(basename "$1")"
	place "$dist/xsnap-lockdown/dist/lockdown.bundle" "$out/lockdown.bundle"
	place "$dist/swingset-xsnap-supervisor/dist/supervisor.bundle" "$out/supervisor.bundle"
	for name in "$(basename "$1")" lockdown.bundle supervisor.bundle; do
		sha256sum "$out/$name" | cut -d' ' -f1 >"$out/$name.sha256"
	done
	"$out/$(basename "$1")" -v >/dev/null || fail "the compiled $(basename "$1") does not run"
	printf '%s\n' "$key" >"$out/.key"
}
