#!/bin/sh
# The whole job in riskstream beside its features alone in DuckDB, Polars and Flink, on the same
# payments.
#
#   benches/side_by_side/run.sh [TRANSACTIONS.parquet]
#
# Without a file, half a year of simulated payments (about 1.75 million) is generated. Needs
# python3, a JDK (17 or newer) and Maven for the peers, which are fetched and compiled once into the
# cache folder. See ../common.sh for the variables; also RUNS [3], THREADS [one per core], ONLY (a
# contender's name).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/../common.sh"
find_program "$root"

. "$here/../peers.sh"
python_peers
flink_peer "$here/flink" PaymentFeatures
payments_of "$@"

# A logistic regression on the job's own features, trained once per input; it is not measured.
if [ ! -e "$data/registry/fraud-card" ]; then
    echo "training the model"
    rm -rf "$data/training"
    mkdir -p "$data/training"
    awk '/^# Score/ { exit } { print }' "$here/card-fraud.toml" >"$data/training/features.toml"
    cat >>"$data/training/features.toml" <<'END'
[[pipelines.card-fraud.to]]
id    = "features"
kind  = "delta"
table = "payment_features"
END
    set -- --set "riskstream.data=$data/training" --set "riskstream.registry=$data/registry" \
        --set "sources.payments.path=$data/payments.parquet"
    "$program" run "$data/training/features.toml" "$@" --format json >"$data/training/run.json"
    "$program" train fraud-card --config "$data/training/features.toml" "$@" \
        --table payment_features --algorithm logistic
    rm -rf "$data/training"
fi

exec "$cache/venv/bin/python" "$here/compare.py" --program "$program" --cache "$cache" \
    --data "$data" --work "$cache/work" --registry "$data/registry" --results "$results" \
    --runs "${RUNS:-3}" ${THREADS:+--threads "$THREADS"} ${ONLY:+--only "$ONLY"}
