#!/usr/bin/env bash
# native.sh GOAL OUT: puts the native worker and the two bundles into OUT.
#
# GOAL is release, or sanitized: our own C under ASan and UBSan, for tests. Our C
# (xsnap/native) is compiled against the XS sources in the npm package
# @agoric/xsnap, which stay where they are. XS itself is compiled once for both
# goals, and again only when it or platform.h changes. Results are kept in the
# same cache as engines, by content.
set -euo pipefail
WHAT=native
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

goal=$1
out=$2
[ "$goal" = release ] || WHAT=native-$goal
package=$NPM_DIR/node_modules/@agoric/xsnap
sources=$ROOT/xsnap/native
cc_option='CC=cc "-D__has_builtin(x)=1"' # as src/build.js of @agoric/xsnap passes it
sanitize=
[ "$goal" = release ] || sanitize='-g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'

# key_of FILE...: a hash of what XS is made of and of the files.
key_of() {
	{
		cat "$LOCK" "${BASH_SOURCE[0]}" "$ROOT/tools/native.mk" "$@"
		cc --version
		uname -m
		printf '%s\n' "$cc_option" "${CFLAGS:-}" "${LDFLAGS:-}"
	} | sha256sum | cut -d' ' -f1
}

# native_make TARGET SETTING...: in the work directory, without the flags of the
# make that runs this script.
native_make() {
	local map=
	cc_takes "-ffile-prefix-map=$ROOT=" && map=-ffile-prefix-map=$ROOT=
	(unset MAKEFLAGS MFLAGS MAKELEVEL &&
		make --no-print-directory -j2 -f "$ROOT/tools/native.mk" "PACKAGE=$package" "SOURCES=$sources" "BUILD_DIR=$work" \
			"XSNAP_VERSION=$version" "PREFIX_MAP=$map" "$cc_option" "$@")
}

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$package/package.json")
key=$(key_of "$sources"/*.[ch] <(printf '%s\n' "$goal"))
if [ "$(cat "$out/.key" 2>/dev/null)" = "$key" ]; then exit 0; fi

work=$ROOT/build/tmp/native-$goal
log=$ROOT/build/$WHAT.log
worker=$(cache_dir)/engines/$key/xsnap-native-worker
xs=$(cache_dir)/engines/$(key_of "$sources/platform.h")/libxs.a
if cache_is_sound "$worker"; then
	progress "taken from the cache, $(dirname "$worker")"
else
	rm -rf "$work"
	mkdir -p "$work"
	if ! cache_is_sound "$xs"; then
		progress "compiling XS of xsnap $version, about a minute"
		native_make xs 2>&1 | tee "$log" | count_files "$(native_make count)" || fail_with_log "cannot compile XS"
		keep "$work/libxs.a" "$xs"
	fi
	progress "compiling the native worker ($goal)"
	native_make worker "LIBXS=$xs" "SANITIZE=$sanitize" >"$log" 2>&1 || fail_with_log "cannot compile the native worker"
	keep "$work/xsnap-native-worker" "$worker"
	rm -rf "$work"
fi
fill_out "$worker"
progress "ready: $out"
