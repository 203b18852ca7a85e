#!/bin/sh
# Trains the model that is shipped in registry/fraud-card, by the program itself: half a year of
# simulated payments of another seed than pipelines.toml has, through the features of
# pipelines.toml, then the Fraud Detection Handbook's protocol. The same rows give the same model.
#
#   scripts/train-shipped-model.sh [PROGRAM]       # default: riskstream of `cargo run --release`
#
# The next version is added to registry/; delete registry/fraud-card first to make version 1 again.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    riskstream() { "$program" "$@"; }
    program=$1
else
    riskstream() { cargo run --release --quiet -- "$@"; }
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pipelines.toml up to its first step that needs a model.
awk '/^# A model of the registry/ { exit } { print }' pipelines.toml > "$work/features.toml"
cat >> "$work/features.toml" <<'END'
[[pipelines.card-fraud.to]]
id    = "features"
kind  = "delta"
table = "payment_features"
END
riskstream run "$work/features.toml" --set sources.payments.seed=7 \
    --set "riskstream.data=$work/data"
riskstream train fraud-card --config "$work/features.toml" --set "riskstream.data=$work/data" \
    --table payment_features --algorithm all \
    --train 2018-07-25..2018-07-31 --test 2018-08-08..2018-08-14
