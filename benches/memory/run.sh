#!/bin/sh
# Peak memory of the whole job on 1 and 10 times the data and keys; then SIGKILL near the end of the
# larger run, and how long its restart takes.
#
#   benches/memory/run.sh
#
# The inputs are generated once into the cache folder (about 0.4 GB). See ../common.sh for the
# variables; also ROWS [1750000] for 1 time the data.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/../common.sh"
find_program "$root"
exec python3 "$here/memory.py" --program "$program" --cache "$cache" \
    --registry "$root/registry" --results "$results" --rows "${ROWS:-1750000}"
