#!/usr/bin/env bash
# A real Kafka broker on this machine's loopback, for the examples, the tests and the proofs: Apache
# Kafka 4.3.1 in KRaft mode, one node or several, its jars from Maven Central. Needs bash, java (17
# or newer) and mvn.
#
#   kafka.sh fetch           gets the jars (once, into the user's cache)
#   kafka.sh start [PORT]    starts the broker on 127.0.0.1:PORT (9092) and waits until it is ready;
#                            fetches first if need be
#   kafka.sh stop [PORT]     stops it, as an operator would; what it holds stays, and the next start
#                            goes on with it
#   kafka.sh kill [PORT]     stops it with SIGKILL
#   kafka.sh pause [PORT]    keeps it from doing anything with SIGSTOP, until
#   kafka.sh resume [PORT]
#   kafka.sh wipe [PORT]     stops it and removes what it holds
#   kafka.sh produce [PORT] TOPIC [FILE]   writes each line of FILE (or of the input) as a message
#   kafka.sh consume [PORT] TOPIC          prints the messages of committed transactions, from the
#                                          beginning
#
# KAFKA_NODES: so many nodes (default 1), the n-th on PORT + 2(n - 1); with three and more, topics
# have three replicas, of which two must have a message.
# KAFKA_NODE: the one node that is meant (default: all).
# KAFKA_STATE: where it keeps its data (default: a folder of the port in the temporary folder).
# KAFKA_PARTITIONS: of topics that are made by being written to (default 1).
# KAFKA_HEAP: the heap of each node (default 512m).
# KAFKA_JVM_PERFORMANCE_OPTS, as of Kafka's own scripts: how the virtual machine runs (default: a
# collector for small heaps on few processors, which stops the broker for some 40 ms at a time).
# KAFKA_SETTINGS: further lines of the broker's server.properties.
set -euo pipefail

version=4.3.1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/riskstream-servers/kafka-$version
port=9092
action=${1:-}
shift || true
case ${1:-} in '' | *[!0-9]*) ;; *) port=$1; shift ;; esac
all=${KAFKA_STATE:-${TMPDIR:-/tmp}/riskstream-kafka-$port}
nodes=${KAFKA_NODES:-1}
if [ "$nodes" -ge 3 ]; then replicas=3 insync=2; else replicas=1 insync=1; fi

# Makes a node the one that is meant: its folder, and its port.
choose() {
  node=$1
  node_port=$((port + 2 * (node - 1)))
  if [ "$nodes" -gt 1 ]; then state=$all/node-$node; else state=$all; fi
}

# Does something for the nodes that are meant.
for_nodes() {
  local n
  for n in $(if [ -n "${KAFKA_NODE:-}" ]; then echo "$KAFKA_NODE"; else seq 1 "$nodes"; fi); do
    choose "$n"
    "$@"
  done
}

fail() { echo "kafka.sh: $*" >&2; exit 1; }

fetch() {
  if [ -f "$cache/fetched" ]; then return; fi
  command -v mvn >/dev/null || fail "mvn is missing; install it, such as by: apt-get install maven"
  command -v java >/dev/null ||
    fail "java is missing; install it, such as by: apt-get install openjdk-17-jre-headless"
  mkdir -p "$cache"
  cat >"$cache/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>riskstream</groupId>
  <artifactId>kafka-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
  # Two at once must not fill one folder.
  exec 9>"$cache/lock"
  flock 9
  if [ ! -f "$cache/fetched" ]; then
    (cd "$cache" &&
      mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DoutputDirectory=lib -DincludeScope=runtime) ||
      fail "the jars can't be fetched from Maven Central"
    touch "$cache/fetched"
  fi
  flock -u 9
}

java_kafka() {
  local heap=${KAFKA_HEAP:-512m}
  # shellcheck disable=SC2086
  exec java "-Xmx$heap" ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC} \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
    -Dkafka.logs.dir="$state" -cp "$cache/lib/*" "$@"
}

running() { [ -f "$state/pid" ] && kill -0 "$(cat "$state/pid")" 2>/dev/null; }

launch() {
  if running; then fail "a broker runs already, with process $(cat "$state/pid")"; fi
  mkdir -p "$state"
  local voters
  voters=$(
    for n in $(seq 1 "$nodes"); do
      echo "$n@127.0.0.1:$((port + 2 * (n - 1) + 1))"
    done | paste -sd,
  )
  cat >"$state/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$node_port,CONTROLLER://127.0.0.1:$((node_port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$node_port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$state/logs
num.partitions=${KAFKA_PARTITIONS:-1}
auto.create.topics.enable=true
default.replication.factor=$replicas
min.insync.replicas=$insync
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$insync
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$insync
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
${KAFKA_SETTINGS:-}
PROPERTIES
  if [ ! -f "$state/logs/meta.properties" ]; then
    (java_kafka kafka.tools.StorageTool format -t AAAAAAAAQACAAAAAAAAAAA \
      -c "$state/server.properties") >"$state/format.log" 2>&1 ||
      fail "the folder can't be made ready; see $state/format.log"
  fi
  : >"$state/broker.log"
  (java_kafka -XX:TieredStopAtLevel="${KAFKA_TIER:-4}" kafka.Kafka "$state/server.properties") \
    >>"$state/broker.log" 2>&1 </dev/null &
  echo $! >"$state/pid"
  disown
}

ready() {
  for _ in $(seq 1 600); do
    if grep -q "Kafka Server started" "$state/broker.log"; then return; fi
    running || fail "the broker has ended; see $state/broker.log"
    sleep 0.1
  done
  fail "the broker is not ready after a minute; see $state/broker.log"
}

# Sends the broker a signal.
signal() {
  running || fail "no broker runs"
  kill "$1" "$(cat "$state/pid")"
}

remove() {
  end -KILL
  rm -rf "$state"
}

# Ends the broker by a signal, and waits until it has ended.
end() {
  if running; then
    local process
    process=$(cat "$state/pid")
    kill "$1" "$process"
    while kill -0 "$process" 2>/dev/null; do sleep 0.05; done
  fi
  rm -f "$state/pid"
}

case $action in
fetch) fetch ;;
start)
  fetch
  # All are launched before one is waited for: a node is ready once most are.
  for_nodes launch
  for_nodes ready
  ;;
stop) for_nodes end -TERM ;;
kill) for_nodes end -KILL ;;
pause) for_nodes signal -STOP ;;
resume) for_nodes signal -CONT ;;
wipe) for_nodes remove && if [ -z "${KAFKA_NODE:-}" ]; then rm -rf "$all"; fi ;;
produce)
  [ $# -ge 1 ] || fail "produce needs a topic"
  choose 1
  java_kafka org.apache.kafka.tools.ConsoleProducer --bootstrap-server "127.0.0.1:$port" \
    --topic "$1" <"${2:-/dev/stdin}"
  ;;
consume)
  [ $# -ge 1 ] || fail "consume needs a topic"
  choose 1
  java_kafka org.apache.kafka.tools.consumer.ConsoleConsumer \
    --bootstrap-server "127.0.0.1:$port" --topic "$1" --from-beginning \
    --isolation-level read_committed
  ;;
*)
  usage="fetch | start [PORT] | stop [PORT] | kill [PORT] | pause [PORT] | resume [PORT]"
  usage="$usage | wipe [PORT] | produce [PORT] TOPIC [FILE] | consume [PORT] TOPIC"
  fail "usage: kafka.sh $usage"
  ;;
esac
