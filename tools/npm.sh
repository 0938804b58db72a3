#!/usr/bin/env bash
# npm.sh: installs the pinned npm packages into build/npm, once per lockfile.
# Install scripts never run: the engine is compiled by engine.sh.
set -euo pipefail
WHAT=npm
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

key=$(cat "$ROOT/xsnap/npm/package.json" "$LOCK" | sha256sum | cut -d' ' -f1)
stamp=$NPM_DIR/.installed
if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then exit 0; fi

mkdir -p "$NPM_DIR"
rm -f "$stamp"
cp "$ROOT/xsnap/npm/package.json" "$LOCK" "$NPM_DIR/"
progress "installing $(grep -c '^    "node_modules/' "$LOCK") packages into build/npm"
cd "$NPM_DIR"
run_logged "$ROOT/build/npm.log" npm ci --ignore-scripts --omit-lockfile-registry-resolved \
	--no-audit --no-fund --no-update-notifier --loglevel=error
printf '%s\n' "$key" >"$stamp"
