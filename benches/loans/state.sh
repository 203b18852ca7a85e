#!/bin/sh
# Ten million loans in the state of one pipeline: peak memory, the answer beside DuckDB's, SIGKILL
# near the end and how long the restart takes.
#
#   benches/loans/state.sh [CHANGES.parquet]
#
# Without a file, LOANS [10000000] loans are simulated over one month (about 0.6 GB). Needs and
# variables: see ../README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/../common.sh"
find_program "$root"
. "$here/../peers.sh"
python_peers
loans=${LOANS:-10000000}
changes=${1:-$cache/loan-month-$loans.parquet}
[ -f "$changes" ] || "$program" generate --of loans --loans "$loans" --months 1 --out "$changes"

exec "$cache/venv/bin/python" "$here/state.py" --program "$program" --cache "$cache" \
    --changes "$changes" --work "$cache/work-loans-state" --results "$results" \
    ${THREADS:+--threads "$THREADS"}
