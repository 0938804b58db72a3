#!/usr/bin/env bash
# engine.sh GOAL OUT: puts the stock xsnap-worker and its two bundles into OUT.
#
# GOAL is release (what consensus users run) or debug. The worker is compiled
# from the C sources in the npm package @agoric/xsnap as that package's
# src/build.js does it. One thing is added: the build directory's name is kept
# out of the binary, so that every clone on a machine gets the same bytes (an
# engine is known by its sha256, and a database refuses another one).
# Results are kept in a cache by content: the key is a hash of the lockfile, the
# compiler's version and the flags.
set -euo pipefail
WHAT=engine
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

goal=$1
out=$2
[ "$goal" = release ] || WHAT=engine-$goal
package=$NPM_DIR/node_modules/@agoric/xsnap
cc_option='CC=cc "-D__has_builtin(x)=1"' # as src/build.js of @agoric/xsnap passes it

key_of_inputs() {
	{
		cat "$LOCK" "${BASH_SOURCE[0]}"
		cc --version
		uname -m
		printf '%s\n' "$goal" "$cc_option" "${CFLAGS:-}" "${LDFLAGS:-}"
	} | sha256sum | cut -d' ' -f1
}

compile() {
	local version work log objects
	version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$package/package.json")
	work=$ROOT/build/tmp/xsnap-$goal
	log=$ROOT/build/engine-$goal.log
	rm -rf "$work"
	mkdir -p "$work"
	cp -R "$package/moddable" "$package/xsnap-native" "$work/"
	local makefiles=$work/xsnap-native/xsnap/makefiles/lin
	objects=$(grep -c '\$(TMP_DIR)/[A-Za-z0-9-]*\.o' "$makefiles/xsnap-worker.mk")
	progress "compiling xsnap-worker $version ($goal), about a minute"
	local cc=$cc_option
	cc_takes "-ffile-prefix-map=$work=" && cc+=" -ffile-prefix-map=$work="
	# The flags of the make that runs this script are not for the package's makefile.
	if ! (unset MAKEFLAGS MFLAGS MAKELEVEL && cd "$makefiles" &&
		make "MODDABLE=$work/moddable" "GOAL=$goal" "XSNAP_VERSION=$version" "$cc" \
			-f xsnap-worker.mk -j2 2>&1 | tee "$log" | count_files "$objects"); then
		fail_with_log "cannot compile xsnap-worker"
	fi
	local built=$work/xsnap-native/xsnap/build/bin/lin/$goal/xsnap-worker
	keep "$built" "$cached"
	rm -rf "$work"
}

key=$(key_of_inputs)
if [ "$(cat "$out/.key" 2>/dev/null)" = "$key" ]; then exit 0; fi

cached=$(cache_dir)/engines/$key/xsnap-worker
if cache_is_sound "$cached"; then
	progress "taken from the cache, $(dirname "$cached")"
else
	compile
fi

fill_out "$cached"
progress "ready: $out"
