#!/usr/bin/env bash
# stage.sh PREFIX: installs what this tree has built below PREFIX.
#
#   bin/vatworkerd                       linked statically: it needs no library
#   lib/vatworkerd/build/                engines with their bundles, vats' bundles, npm packages
#   lib/vatworkerd/tools/                what bundles vats' sources, for node
#   lib/vatworkerd/demo/config.json      the demo's vats
#   share/                               manual page, completions, contrib, docs, notices of licences
#
# The program finds lib/vatworkerd from its own place, so PREFIX may be moved as a
# whole. The engines are copied as they were built: they are known by their bytes.
set -euo pipefail
WHAT=install
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

prefix=$1
cd "$ROOT"

# put MODE FILE... DIR: copies files, each replaced as a whole.
put() {
	local mode=$1 dir=${*: -1}
	install -d -m 755 "$dir"
	install -m "$mode" "${@:2:$#-2}" "$dir/"
}

build_program() {
	install -d -m 755 "$prefix/bin"
	go build -buildvcs=auto -trimpath -tags netgo,osusergo,sqlite_omit_load_extension \
		-ldflags '-s -w -linkmode external -extldflags -static' -o "$prefix/bin/vatworkerd.new" ./cmd/vatworkerd
	mv "$prefix/bin/vatworkerd.new" "$prefix/bin/vatworkerd"
}

# put_engine PROGRAM DIR: an engine with its bundles and their sums.
put_engine() {
	put 755 "build/$2/$1" "$lib/build/$2"
	put 644 "build/$2"/*.bundle "build/$2"/*.sha256 "$lib/build/$2"
}

# put_packages: what bundling sources needs. The engine and its bundles are built
# already; types and source maps are for developers.
put_packages() {
	local npm=$lib/build/npm
	install -d -m 755 "$npm"
	put 644 build/npm/package.json "$npm"
	cp -R build/npm/node_modules "$npm/"
	(cd "$npm/node_modules" &&
		rm -rf .bin .package-lock.json @agoric/xsnap @agoric/xsnap-lockdown @agoric/swingset-xsnap-supervisor &&
		find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete)
}

fill_lib() {
	put_engine xsnap-worker engine
	put_engine xsnap-native-worker native
	put 644 build/bundles/*.json "$lib/build/bundles"
	put 644 tools/bundle.mjs tools/overlay.mjs tools/failures.mjs "$lib/tools"
	install -d -m 755 "$lib/demo"
	sed 's|\.\./\.\./build/|../build/|' testdata/demo/config.json >"$lib/demo/config.json"
	put_packages
	chmod -R u=rwX,go=rX "$lib"
}

fill_share() {
	local share=$prefix/share program=$prefix/bin/vatworkerd doc
	put 644 docs/vatworkerd.1 "$share/man/man1"
	install -d -m 755 "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
	"$program" completion bash >"$share/bash-completion/completions/vatworkerd"
	"$program" completion zsh >"$share/zsh/site-functions/_vatworkerd"
	"$program" completion fish >"$share/fish/vendor_completions.d/vatworkerd.fish"
	put 644 contrib/systemd/* "$share/vatworkerd/contrib/systemd"
	put 644 contrib/grafana/* "$share/vatworkerd/contrib/grafana"
	doc=$share/doc/vatworkerd
	put 644 README.md "$doc"
	put 644 docs/*.md "$doc/docs"
	put 644 bench/*.md "$doc/bench"
	put 644 bench/plots/* "$doc/bench/plots"
	node tools/notices.mjs >"$doc/NOTICES"
}

umask 022
lib=$prefix/lib/vatworkerd.new
rm -rf "$lib"
progress 'linking vatworkerd statically'
build_program
fill_lib
fill_share
rm -rf "$prefix/lib/vatworkerd"
mv "$lib" "$prefix/lib/vatworkerd"
