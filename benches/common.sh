# Sourced by the benches' run.sh: the program, the cache folder, the results file.
#
#   RISKSTREAM      the program; built when not given
#   BENCH_CACHE     where peers, inputs and outputs are kept [~/.cache/riskstream-benches]
#   BENCH_RESULTS   a line of JSON per measurement is added to it [BENCH_CACHE/results.jsonl]
cache=${BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/riskstream-benches}
results=${BENCH_RESULTS:-$cache/results.jsonl}
mkdir -p "$cache"

# Sets `program`; `$1` is the folder of the project.
find_program() {
    if [ -n "${RISKSTREAM:-}" ]; then
        program=$RISKSTREAM
    else
        (cd "$1" && cargo build --release --quiet -p riskstream-pipeline)
        program=${CARGO_TARGET_DIR:-$1/target}/release/riskstream
    fi
    "$program" --version >/dev/null || { echo "$program can't be run" >&2; exit 1; }
}
