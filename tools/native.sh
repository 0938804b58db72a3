#!/usr/bin/env bash
# native.sh GOAL OUT: puts the native worker and the two bundles into OUT.
#
# GOAL is release, or sanitized: our own C under ASan and UBSan, for tests, and a
# program for tests that is only its frame reader. Our C (xsnap/native) is compiled
# against the XS sources in the npm package @agoric/xsnap, which stay where they
# are. XS itself is compiled once for both goals, and again only when it or
# platform.h changes. Results are kept in the same cache as engines, by content.
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
programs=xsnap-native-worker
if [ "$goal" != release ]; then
	sanitize='-g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
	programs+=' frame-reader'
fi

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

# all_are_sound: the cache has every program.
all_are_sound() {
	local program
	for program in $programs; do cache_is_sound "$cached/$program" || return; done
}

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$package/package.json")
key=$(key_of "$sources"/*.[ch] "$sources"/check/*.c <(printf '%s\n' "$goal"))
if [ "$(cat "$out/.key" 2>/dev/null)" = "$key" ]; then exit 0; fi

work=$ROOT/build/tmp/native-$goal
log=$ROOT/build/$WHAT.log
cached=$(cache_dir)/engines/$key
xs=$(cache_dir)/engines/$(key_of "$sources/platform.h")/libxs.a
if all_are_sound; then
	progress "taken from the cache, $cached"
else
	rm -rf "$work"
	mkdir -p "$work"
	if ! cache_is_sound "$xs"; then
		progress "compiling XS of xsnap $version, about a minute"
		native_make xs 2>&1 | tee "$log" | count_files "$(native_make count)" || fail_with_log "cannot compile XS"
		keep "$work/libxs.a" "$xs"
	fi
	progress "compiling the native worker ($goal)"
	# shellcheck disable=SC2086
	native_make $programs "LIBXS=$xs" "SANITIZE=$sanitize" >"$log" 2>&1 || fail_with_log "cannot compile the native worker"
	for program in $programs; do keep "$work/$program" "$cached/$program"; done
	rm -rf "$work"
fi
for program in ${programs#xsnap-native-worker}; do place "$cached/$program" "$out/$program"; done
fill_out "$cached/xsnap-native-worker"
progress "ready: $out"
