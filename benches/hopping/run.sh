#!/bin/sh
# A keyed hopping count (24 hours, every hour) in riskstream beside DuckDB, Polars and Flink, on the
# same payments.
#
#   benches/hopping/run.sh [TRANSACTIONS.parquet]
#
# Each customer's payments are counted in each of the 24 windows that hold them: about nine results
# a payment. riskstream lands them in a Delta table, exactly once; the others write one file. Needs
# and variables: see ../README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/../common.sh"
find_program "$root"
. "$here/../peers.sh"
python_peers
flink_peer "$here/flink" HoppingCount
payments_of "$@"

exec "$cache/venv/bin/python" "$here/compare.py" --program "$program" --cache "$cache" \
    --data "$data" --work "$cache/work-hopping" --results "$results" --runs "${RUNS:-3}" \
    ${THREADS:+--threads "$THREADS"} ${ONLY:+--only "$ONLY"}
