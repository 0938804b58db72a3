#!/usr/bin/env bash
# distcheck.sh DIR: checks the release that dist.sh has put into DIR.
#
# It is made once more, in another place, and must have the same bytes. Then it is
# unpacked where there is nothing else, with an empty environment and home, and the
# demo runs from it; the engines must be those of this tree.
set -euo pipefail
WHAT=dist-check
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

out=$(cd "$1" && pwd)
name=$(sed -n 's/^[0-9a-f]*  \(vatworkerd-.*\)\.tar\.gz$/\1/p' "$out/SHA256SUMS")
work=$(mktemp -d "${TMPDIR:-/tmp}/vatworkerd-dist-check.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$out/dist-check.log
top=$work/unpacked/$name

# alone COMMAND...: with nothing of ours around it. PATH has what every system has.
alone() { (cd "$work/empty" && env -i "HOME=$work/empty" PATH=/usr/bin:/bin "$@"); }

check_same_bytes() {
	"$ROOT/tools/dist.sh" "$work/again" 2>"$log" || fail_with_log 'cannot make the release again'
	cmp -s "$work/again/$name.tar.gz" "$out/$name.tar.gz" || fail "made again, $name.tar.gz has other bytes"
	progress 'made again, it has the same bytes'
}

unpack() {
	(cd "$out" && sha256sum --check --status SHA256SUMS) || fail 'SHA256SUMS does not fit'
	mkdir -p "$work/unpacked" "$work/empty"
	tar --extract --gzip --file "$out/$name.tar.gz" --directory "$work/unpacked"
}

check_static() {
	if LC_ALL=C readelf --program-headers "$top/bin/vatworkerd" | grep -q INTERP; then
		fail 'bin/vatworkerd needs a dynamic linker'
	fi
}

check_engines() {
	local file
	for file in engine/xsnap-worker native/xsnap-native-worker; do
		cmp -s "$ROOT/build/$file" "$top/lib/vatworkerd/build/$file" || fail "the release's $file is not the one of this tree; run: make engine native"
	done
	[ "$(alone "$top/bin/vatworkerd" version --json | grep -c "\"path\": \"$top/lib/vatworkerd/build/")" = 2 ] ||
		fail 'the program does not find the two engines of its release'
}

run_demo() {
	local engine balance
	for engine in stock native; do
		alone "$top/bin/vatworkerd" run "$top/lib/vatworkerd/demo/config.json" --db "state-$engine" --max-online 3 --engine "$engine" \
			>"$log" 2>&1 || fail_with_log "the demo fails on the $engine engine"
		balance=$(alone "$top/bin/vatworkerd" send --db "state-$engine" alice balance)
		[ "$balance" = 66 ] || fail "alice has $balance after the demo on the $engine engine, not 66"
	done
	progress 'the demo runs from it alone, on both engines'
}

# A source is bundled by the release's own packages, where there is node.
bundle_source() {
	cat >"$work/empty/vat.js" <<'VAT'
import { Far } from '@endo/far';
export const buildRootObject = () => Far('root', { bootstrap: () => 'made here' });
VAT
	printf '{"bootstrap": "b", "vats": {"b": {"sourceSpec": "vat.js"}}}\n' >"$work/empty/config.json"
	alone env "PATH=$(dirname "$(command -v node)"):/usr/bin:/bin" "$top/bin/vatworkerd" run config.json --db bundled >"$log" 2>&1 ||
		fail_with_log 'a source cannot be bundled'
	grep -q 'made here' "$log" || fail_with_log 'the bundled vat does not answer'
	progress 'a source is bundled by it alone'
}

check_same_bytes
unpack
check_static
check_engines
run_demo
bundle_source
