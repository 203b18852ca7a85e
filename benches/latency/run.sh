#!/bin/sh
# p50, p99 and p99.9 from a payment's arrival to its decision, at 20,000 payments a second that
# arrive one by one.
#
#   benches/latency/run.sh [--rate N] [--seconds N] [--workers N] ...      # --help says them all
#
# LATENCY names a compiled benchmark; otherwise it is built. See ../common.sh for the other
# variables.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/../common.sh"
if [ -z "${LATENCY:-}" ]; then
    (cd "$root" && cargo build --release --quiet -p riskstream-benches --bin latency)
    LATENCY=${CARGO_TARGET_DIR:-$root/target}/release/latency
fi
exec "$LATENCY" --folder "$cache" --registry "$root/registry" --results "$results" "$@"
