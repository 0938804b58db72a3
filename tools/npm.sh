#!/usr/bin/env bash
# npm.sh: installs the pinned npm packages into build/npm, once per lockfile.
# The engine among them is compiled by engine.sh.
set -euo pipefail
WHAT=npm
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"

install_pinned "$(dirname "$LOCK")" "$NPM_DIR"
