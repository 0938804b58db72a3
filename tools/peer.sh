#!/usr/bin/env bash
# peer.sh: puts the JavaScript system that writes the swing-stores of the tests
# into build/peer: pinned packages, the SQLite binding compiled from its
# sources, and our own xsnap-worker. What is done is not done again until the
# lockfile, node or the engine changes.
set -euo pipefail
WHAT=peer
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

source=$ROOT/swingstore/testdata/npm
peer=$ROOT/build/peer
sqlite=$peer/node_modules/better-sqlite3
binding=$sqlite/build/Release/better_sqlite3.node

# node_headers: prints the directory with include/node of the node that runs,
# or nothing: node-gyp fetches the headers then.
node_headers() {
	local prefix
	prefix=$(dirname "$(dirname "$(readlink -f "$(node -p process.execPath)")")")
	if [ -f "$prefix/include/node/node.h" ]; then printf '%s\n' "$prefix"; fi
}

# node_gyp: prints the path of the node-gyp that npm itself uses.
node_gyp() {
	node -p 'require.resolve("node-gyp/bin/node-gyp.js", { paths: [process.argv[1]] })' \
		"$(dirname "$(readlink -f "$(command -v npm)")")" 2>/dev/null ||
		fail 'cannot find the node-gyp of npm; install npm with Node.js (nodejs.org)'
}

# What the binding depends on besides its sources, which npm ci replaces
# together with the stamp.
binding_key() {
	{
		node -p 'process.version + process.arch + process.versions.modules'
		c++ --version
	} | sha256sum | cut -d' ' -f1
}

compile_binding() {
	local key stamp=$sqlite/build/.key gyp headers
	key=$(binding_key)
	if [ -f "$binding" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then return; fi
	gyp=$(node_gyp)
	headers=$(node_headers)
	progress 'compiling the SQLite binding of better-sqlite3, about a minute'
	# The flags of the make that runs this script are not for node-gyp's.
	(unset MAKEFLAGS MFLAGS MAKELEVEL && cd "$sqlite" &&
		run_logged "$peer-binding.log" node "$gyp" rebuild --release ${headers:+"--nodedir=$headers"})
	[ -f "$binding" ] || fail "node-gyp made no $binding; the whole log is $peer-binding.log"
	printf '%s\n' "$key" >"$stamp"
}

# place_worker: the engine that `make engine` built, where @agoric/xsnap looks.
place_worker() {
	local engine=$ROOT/build/engine/xsnap-worker
	local worker=$peer/node_modules/@agoric/xsnap/xsnap-native/xsnap/build/bin/lin/release/xsnap-worker
	if cmp -s "$engine" "$worker"; then return; fi
	mkdir -p "$(dirname "$worker")"
	cp "$engine" "$worker.new.$$"
	mv "$worker.new.$$" "$worker"
	progress "ready: ${peer#"$ROOT/"}"
}

# A link would have us write where it points.
if [ -L "$peer" ]; then rm "$peer"; fi
install_pinned "$source" "$peer"
compile_binding
place_worker
