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
