#!/usr/bin/env bash
# A PostgreSQL server with logical replication, on loopback, from Debian's packages, for the
# examples and tests.
#
#     postgres.sh start [PORT]     a new, empty server (port 54320); prints how to reach it
#     postgres.sh stop             stops it and keeps nothing
#     postgres.sh restart          stops it at once and starts it again with what it has
#     postgres.sh psql ARGS        psql in its database
#     postgres.sh admin ARGS       the same as the superuser
#
# Its state is in $POSTGRES_STATE (default: riskstream-postgres in the folder for temporary files).
# PostgreSQL refuses to run as root, so for root it runs as $POSTGRES_USER (default: nobody), who
# must be able to reach that folder. The role `riskstream` has the password `riskstream` (SCRAM),
# owns the database `loans` and may replicate; `postgres` is the superuser and needs no password on
# loopback. Where openssl is there, TLS is on, with a certificate for localhost signed by
# $POSTGRES_STATE/ca.crt.
set -euo pipefail

state=${POSTGRES_STATE:-${TMPDIR:-/tmp}/riskstream-postgres}
user=${POSTGRES_USER:-nobody}
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)
if [ -z "$bin" ]; then bin=$(pg_config --bindir 2>/dev/null || true); fi
if [ ! -x "$bin/initdb" ]; then
  echo "there is no PostgreSQL here: apt-get install postgresql" >&2
  exit 1
fi

as() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- \
      env HOME="$state" LC_ALL=C "$@"
  else
    LC_ALL=C "$@"
  fi
}

# The port is the first argument of the last start.
port() { cat "$state/port"; }

run() {
  cd "$state"
  as "$bin/pg_ctl" -D "$state/data" -w -t 60 -l "$state/server.log" -o "-p $(port)" start \
    >"$state/start.log" 2>&1 || { cat "$state/start.log" "$state/server.log" >&2; exit 1; }
}

stop() {
  cd "$state"
  as "$bin/pg_ctl" -D "$state/data" -m immediate -w stop >/dev/null || true
}

certificates() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj "/CN=riskstream example authority" \
    -keyout "$state/ca.key" -out "$state/ca.crt" 2>/dev/null
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj "/CN=localhost" -CA "$state/ca.crt" -CAkey "$state/ca.key" \
    -addext "basicConstraints=critical,CA:FALSE" -addext "subjectAltName=DNS:localhost" \
    -keyout "$state/data/server.key" -out "$state/data/server.crt" 2>/dev/null
  chmod 600 "$state/data/server.key"
  if [ "$(id -u)" = 0 ]; then chown "$user" "$state/data/server.key" "$state/data/server.crt"; fi
  echo "ssl = on" >>"$state/data/postgresql.conf"
}

case "${1:-}" in
start)
  if [ -e "$state/data/postmaster.pid" ]; then stop; fi
  cd /
  rm -rf "$state"
  mkdir -p "$state"
  chmod 755 "$state"
  if [ "$(id -u)" = 0 ]; then chown "$user" "$state"; fi
  cd "$state"
  echo "${2:-54320}" >"$state/port"
  as "$bin/initdb" -D "$state/data" -U postgres -A trust -N --no-instructions -E UTF8 --locale=C \
    >"$state/initdb.log" 2>&1 || { cat "$state/initdb.log" >&2; exit 1; }
  cat >>"$state/data/postgresql.conf" <<SETTINGS
listen_addresses = '127.0.0.1'
unix_socket_directories = '$state'
wal_level = logical
max_wal_senders = 8
max_replication_slots = 8
shared_buffers = 64MB
fsync = ${POSTGRES_FSYNC:-on}
SETTINGS
  cat >"$state/data/pg_hba.conf" <<RULES
local all         all                     trust
host  all         postgres   127.0.0.1/32 trust
host  all         riskstream 127.0.0.1/32 scram-sha-256
host  replication riskstream 127.0.0.1/32 scram-sha-256
RULES
  if command -v openssl >/dev/null; then certificates; fi
  run
  as "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$state" -p "$(port)" -U postgres postgres \
    -c "create role riskstream login replication password 'riskstream'" \
    -c "create database loans owner riskstream"
  echo "postgresql://riskstream@localhost:$(port)/loans with the password riskstream"
  ;;
stop)
  stop
  cd /
  rm -rf "$state"
  ;;
restart)
  stop
  run
  ;;
admin)
  shift
  exec "$bin/psql" -X -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(port)" -U postgres -d loans "$@"
  ;;
psql)
  shift
  PGPASSWORD=riskstream exec "$bin/psql" -X -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(port)" \
    -U riskstream -d loans "$@"
  ;;
*)
  sed -n '2,/^set /{ s/^# \{0,1\}//; /^set /!p; }' "$0" >&2
  exit 2
  ;;
esac
