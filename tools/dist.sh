#!/usr/bin/env bash
# dist.sh OUT: puts the release of the last commit into the directory OUT, as
# vatworkerd-VERSION-linux-ARCH.tar.gz, and its sum into SHA256SUMS beside it.
# A release of another commit that is there gives way.
#
# It is built in a clone of its own, so that nothing enters it that is not
# committed, and the same commit always makes the same bytes: of time, place and
# user nothing is left. The engines come from the cache, by content.
set -euo pipefail
WHAT=dist
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

install -d "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/vatworkerd-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$out/dist.log
source=$work/source

# has_changes: there is something that is not committed.
has_changes() { [ -n "$(git -C "$ROOT" status --porcelain)" ]; }

build_in_clone() {
	git clone --quiet --shared "$ROOT" "$source"
	install -d "$source/build"
	if [ -d "$NPM_DIR" ]; then cp -R "$NPM_DIR" "$source/build/npm"; fi
	(unset MAKEFLAGS MFLAGS MAKELEVEL && make --no-print-directory -C "$source" install DESTDIR= "PREFIX=$work/release")
}

version_of() { "$work/release/bin/vatworkerd" version --json | node -p 'JSON.parse(fs.readFileSync(0)).version'; }

pack() {
	mv "$work/release" "$work/$name"
	tar --create --directory "$work" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
		"--mtime=@$(git -C "$source" log -1 --format=%ct)" "$name" | gzip -9 --no-name >"$out/$name.tar.gz.new"
	rm -f "$out"/vatworkerd-*.tar.gz
	mv "$out/$name.tar.gz.new" "$out/$name.tar.gz"
	(cd "$out" && sha256sum "$name.tar.gz" >SHA256SUMS)
}

if has_changes; then progress 'what is not committed does not enter the release'; fi
progress "building $(git -C "$ROOT" describe --tags --always) in a clone of its own"
build_in_clone >"$log" 2>&1 || fail_with_log 'cannot build the release'
version=$(version_of) # which the Go toolchain took from git
[ "$version" != devel ] || fail 'the program does not know its version: go found no git repository'
name=vatworkerd-$version-linux-$(go env GOARCH)
pack
progress "ready: $out/$name.tar.gz, $(du -h "$out/$name.tar.gz" | cut -f1)"
