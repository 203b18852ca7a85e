#!/bin/sh
# How fast the query port answers, beside those that one would use instead. One of:
#
#   benches/query/speed/run.sh analyst        20 queries, beside DuckDB, Polars and deltalake
#   benches/query/speed/run.sh latency        `select 1` and look-ups, beside PostgreSQL (pgbench)
#   benches/query/speed/run.sh throughput     10 million rows each way, beside PostgreSQL's COPY
#   benches/query/speed/run.sh beside_stream  the pipeline's latency with and without clients
#
# `run.sh NAME --help` says the options of each. The peers come from PyPI, once, into the cache
# folder; PostgreSQL is Debian's (postgresql, with pgbench). See ../../common.sh for the variables.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
name=${1:-}
case $name in
analyst | latency | throughput | beside_stream) shift ;;
*)
    sed -n '2,/^set /{ s/^# \{0,1\}//; /^set /!p; }' "$0" >&2
    exit 2
    ;;
esac
. "$root/benches/common.sh"
find_program "$root"
venv=$cache/query-venv
packages="duckdb==1.5.5 duckdb-extension-delta==1.5.5 duckdb-extension-icu==1.5.5 polars==2.1.0
    deltalake==1.6.6 pyarrow==26.0.1 pytz==2026.6 psycopg[binary]==3.3.9
    adbc-driver-manager==1.13.0 adbc-driver-flightsql==1.13.0"
if [ "$(cat "$venv/ready" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    # One word each, which is wanted.
    # shellcheck disable=SC2086
    "$venv/bin/pip" install --quiet --disable-pip-version-check $packages
    printf '%s' "$packages" >"$venv/ready"
fi
exec "$venv/bin/python" "$here/$name.py" --program "$program" --cache "$cache" \
    --results "$results" "$@"
