#!/bin/sh
# A loan book's changes become each lender's book as of every midnight, in riskstream beside DuckDB.
#
#   benches/loans/run.sh [CHANGES.parquet]
#
# Each change takes back the loan's row before and adds the new one. riskstream keeps the loans'
# rows, lands the results in a Delta table, exactly once, and could go on; DuckDB writes one file.
# Without a file, LOANS [400000] loans are simulated over two years. Needs and variables: see
# ../README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/../common.sh"
find_program "$root"
. "$here/../peers.sh"
python_peers
loans=${LOANS:-400000}
changes=${1:-$cache/loan-changes-$loans.parquet}
[ -f "$changes" ] || "$program" generate --of loans --loans "$loans" --out "$changes"

mkdir -p "$cache/work-loans"
exec "$cache/venv/bin/python" "$here/compare.py" --program "$program" --cache "$cache" \
    --changes "$changes" --work "$cache/work-loans" --results "$results" --runs "${RUNS:-3}" \
    ${THREADS:+--threads "$THREADS"}
