#!/usr/bin/env bash
# p50, p99 and p99.9 from a payment's being due in one Kafka topic to its 12 features in another, at
# 20,000 payments a second: delivered exactly once, seen by a read_committed consumer, and delivered
# immediately.
#
#   benches/kafka/run.sh [--rate N] [--seconds N] ...      # `kafka-latency --help` says them all
#
# A real broker is started on loopback (examples/servers/kafka.sh). KAFKA_LATENCY names a compiled
# benchmark; otherwise it is built. PORT [19392], WORKERS [1] of riskstream. See ../common.sh for
# the other variables.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/../common.sh"
find_program "$root"
if [ -z "${KAFKA_LATENCY:-}" ]; then
    (cd "$root" && cargo build --release --quiet -p riskstream-benches --bin kafka-latency)
    KAFKA_LATENCY=${CARGO_TARGET_DIR:-$root/target}/release/kafka-latency
fi
port=${PORT:-19392}
work=$(mktemp -d "$cache/kafka-XXXXXX")
export KAFKA_STATE=$work/broker KAFKA_PARTITIONS=2 KAFKA_HEAP=${KAFKA_HEAP:-4g}
# As Kafka's own scripts start a broker, and with most of the heap that its documentation advises: a
# small one is collected every second. With the heap and the collector that the tests use it stops
# for 30 to 40 ms every one and a half seconds, which would be the p99.
jvm="-Xms$KAFKA_HEAP -XX:+UseG1GC -XX:MaxGCPauseMillis=20"
jvm="$jvm -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"
export KAFKA_JVM_PERFORMANCE_OPTS="${KAFKA_JVM_PERFORMANCE_OPTS:-$jvm}"
server=$root/examples/servers/kafka.sh
run=
ended() {
    [ -z "$run" ] || kill -9 "$run" 2>/dev/null || true
    "$server" wipe "$port" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap ended EXIT
"$server" start "$port" >/dev/null

measure() { # DELIVER OPTIONS...
    local deliver=$1
    shift
    # Topics are made by being written to; neither side reads these messages.
    echo '{}' | "$server" produce "$port" "payments-$deliver" >/dev/null
    echo '{}' | "$server" produce "$port" "features-$deliver" >/dev/null
    "$program" run "$here/features.toml" --workers "${WORKERS:-1}" --format json \
        --set "riskstream.data=$work/$deliver" \
        --set "sources.payments.brokers=127.0.0.1:$port" \
        --set "sources.payments.topic=payments-$deliver" \
        --set "pipelines.features.to.0.brokers=127.0.0.1:$port" \
        --set "pipelines.features.to.0.topic=features-$deliver" \
        --set "pipelines.features.to.0.deliver=$deliver" >"$work/$deliver.log" 2>&1 &
    run=$!
    sleep 4
    kill -0 "$run" 2>/dev/null || { cat "$work/$deliver.log" >&2; exit 1; }
    "$KAFKA_LATENCY" --brokers "127.0.0.1:$port" --input "payments-$deliver" \
        --output "features-$deliver" --label "riskstream $deliver" "$@" | tee -a "$results"
    # User and system ticks of the program, its start included.
    sed 's/.*) //' "/proc/$run/stat" | awk '{ printf "  %.1f CPU s\n", ($12 + $13) / 100 }'
    awk '/VmHWM/ { printf "  %d MB at most\n", $2 / 1024 }' "/proc/$run/status"
    kill -INT "$run"
    wait "$run" || true
    run=
}

measure committed "$@"
measure immediately --uncommitted "$@"
