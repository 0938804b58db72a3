#!/bin/sh
# need.sh PROGRAM...: prints one line that names the first missing or too old
# program and what to install; prints nothing when all are there.
# The Makefile turns that line into its only error.

say() { printf '%s\n' "$1"; exit 0; }

# at_least HAVE WANT: compares dotted versions.
at_least() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$2" ]
}

for program in "$@"; do
	case $program in
	linux)
		[ "$(uname -s)" = Linux ] || say "missing prerequisite: Linux (this is $(uname -s)); vatworkerd needs its process controls" ;;
	go)
		command -v go >/dev/null 2>&1 || say "missing prerequisite: go; install Go 1.26 or newer (go.dev/dl)"
		have=$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')
		at_least "${have:-0}" 1.26 || say "go ${have:-of unknown version} is too old; install Go 1.26 or newer (go.dev/dl)" ;;
	node)
		command -v node >/dev/null 2>&1 || say "missing prerequisite: node; install Node.js 20.9 or newer with npm (nodejs.org)"
		have=$(node --version 2>/dev/null | sed 's/^v//; s/[^0-9.].*//')
		at_least "${have:-0}" 20.9 || say "node ${have:-of unknown version} is too old; install Node.js 20.9 or newer (nodejs.org)" ;;
	npm)
		command -v npm >/dev/null 2>&1 || say "missing prerequisite: npm; install it with Node.js 20.9 or newer (nodejs.org), or your system's npm package" ;;
	cc)
		command -v cc >/dev/null 2>&1 || say "missing prerequisite: cc; install a C compiler (Debian, Ubuntu: apt install build-essential)" ;;
	c++)
		command -v c++ >/dev/null 2>&1 || say "missing prerequisite: c++; install a C++ compiler (Debian, Ubuntu: apt install build-essential)" ;;
	python3)
		command -v python3 >/dev/null 2>&1 || say "missing prerequisite: python3; node-gyp needs it (Debian, Ubuntu: apt install python3)" ;;
	bash|sha256sum)
		command -v "$program" >/dev/null 2>&1 || say "missing prerequisite: $program; install it (Debian, Ubuntu: apt install bash coreutils)" ;;
	*)
		command -v "$program" >/dev/null 2>&1 || say "missing prerequisite: $program; install it" ;;
	esac
done
