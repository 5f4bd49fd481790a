#!/bin/sh
# Ten steps of each net, twice with each Python that is there, in an environment of its own.
# usage: all.sh PYTHON...
set -eu
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
last=
for python in "$@"; do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
        echo "Skipped: there is no $python here."
        continue
    }
    last=.venv-$version
    sh scripts/make_environment.sh "$python" "$last" "$last/.made-test" test
    for run in 1 2; do
        echo "Python $version, run $run ..."
        PYTHONPATH=tools:tests "$last/bin/python" -m reproduce --json >"$found/$version-$run.json"
    done
done
[ -n "$last" ] || {
    echo "None of these is here: $*. Name others: PYTHONS='python3.10 python3.11' make reproduce" >&2
    exit 1
}
PYTHONPATH=tools:tests "$last/bin/python" -m reproduce.compare "$found"/*.json
