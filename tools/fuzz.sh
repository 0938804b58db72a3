#!/bin/bash
# Runs every fuzz target for a while and says how many inputs each has tried.
# Inputs that fail are left in testdata/fuzz of the target's package.
# Coverage that depends on goroutines makes much look new: little time is spent on
# making it small.
# Usage: fuzz.sh TIME-PER-TARGET [PATTERN]
set -u -o pipefail
time=${1:?how long each target runs, like 30s}
pattern=${2:-.}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
targets=$(git ls-files -co --exclude-standard '*_test.go' | xargs grep -Ho '^func Fuzz[A-Za-z0-9]*' | sed 's|\(.*\)/[^/]*:func |\1 |' | grep -E "$pattern")
while read -r dir name; do
	if go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 10x "./$dir" >"$log" 2>&1; then
		result=ok
	else
		result=FAILED failed=1
	fi
	tried=$(grep -o 'execs: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)
	printf '%-8s%-20s%-24s%12s executions\n' "$result" "$dir" "$name" "${tried:-no}"
	if [ "$result" != ok ]; then cat "$log"; fi
done <<<"$targets"
exit $failed
