#!/usr/bin/env python3
"""Kafka to Kafka and Delta, exactly once: our process is killed with SIGKILL again and again, the broker is stopped and started meanwhile.

    kafka.py [--binary PATH] [--records 1000000] [--kills 20] [--broker-stops 2] [--port 19292] [--seed N]

A real broker (examples/servers/kafka.sh) takes records while runs are killed, each restarted with another number of workers. At the end a
read_committed consumer of confluent-kafka must see the output of every record exactly once, the Delta table must have the same rows with
the same values, and the windows must be those that SQL gives. Ends with 1 if anything differs.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import proof

PARTITIONS = 4
CUSTOMERS = 2_000
SERVER = proof.PROJECT / "examples" / "servers" / "kafka.sh"


class Broker:
    def __init__(self, port, state):
        self.port, self.state = port, state
        self.brokers = f"127.0.0.1:{port}"

    def script(self, action):
        environment = {**os.environ, "KAFKA_STATE": str(self.state), "KAFKA_PARTITIONS": str(PARTITIONS)}
        subprocess.run([str(SERVER), action, str(self.port)], env=environment, check=True, stdin=subprocess.DEVNULL)


def record(number):
    """The record of a number, with its key."""
    customer = number * 2_654_435_761 % CUSTOMERS
    seconds = 1_522_540_800 + number // 4
    # Up to 8 seconds out of order.
    seconds -= number * 40_503 % 9
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    amount = number * 7_919 % 100_000 + 1
    value = f'{{"transaction_id":{number},"tx_datetime":"{at}","customer_id":{customer},"tx_amount":{amount // 100}.{amount % 100:02}}}'
    return str(customer), value


def produce(broker, records, seconds, failures):
    """Produces all records in about so many seconds, through whatever happens to the broker."""
    from confluent_kafka import Producer

    refused = lambda error, _: failures.append(str(error)) if error else None
    producer = Producer({"bootstrap.servers": broker.brokers, "enable.idempotence": True, "linger.ms": 5, "reconnect.backoff.max.ms": 500})
    started = time.monotonic()
    for number in range(records):
        key, value = record(number)
        while True:
            try:
                producer.produce("payments", value, key, headers=[("source", str(number % 7))], on_delivery=refused)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 1_000 == 0:
            producer.poll(0)
            ahead = number / records * seconds - (time.monotonic() - started)
            if ahead > 0:
                time.sleep(ahead)
    left = producer.flush(120)
    if left:
        failures.append(f"{left} records were not taken")


def consume(broker, topic):
    """Every message that a read_committed consumer sees, from the beginning to the end."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    consumer = Consumer({
        "bootstrap.servers": broker.brokers, "group.id": "proof", "isolation.level": "read_committed",
        "enable.partition.eof": True, "enable.auto.commit": False,
    })
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    ends, messages = set(), []
    while len(ends) < PARTITIONS:
        batch = consumer.consume(10_000, 30)
        if not batch:
            sys.exit(f"the topic {topic} has no end")
        for message in batch:
            if message.error() is None:
                messages.append((message.key(), message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ends.add(message.partition())
            else:
                sys.exit(f"{topic}: {message.error()}")
    consumer.close()
    return messages


def arguments(binary, data, workers, stop):
    return proof.run_arguments(binary, data.parent / "kafka.toml", data, None, workers, [f"sources.payments.stop={stop}"])


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="[1000000]")
    parser.add_argument("--kills", type=int, default=20, help="of our process [20]")
    parser.add_argument("--broker-stops", type=int, default=2, help="while our process runs [2]")
    parser.add_argument("--port", type=int, default=19_292, help="of the broker; the next one is its controller's [19292]")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments and numbers of workers [the clock]")
    args = parser.parse_args()
    proof.with_readers("confluent_kafka")
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-kafka-"))
    work.mkdir(parents=True, exist_ok=True)
    dice = random.Random(args.seed)
    data = work / "data"
    shutil.rmtree(data, ignore_errors=True)
    broker = Broker(args.port, work / "broker")
    (work / "kafka.toml").write_text((proof.HERE / "kafka.toml").read_text().replace("127.0.0.1:9092", broker.brokers))
    broker.script("wipe")
    broker.script("start")
    failures, problems = [], ["not finished"]
    pace = max(args.kills * 1.6, args.records / 60_000)
    producer = threading.Thread(target=produce, args=(broker, args.records, pace, failures))
    producer.start()
    started, workers = time.monotonic(), []
    stops = set(dice.sample(range(1, args.kills), min(args.broker_stops, args.kills - 1)))
    try:
        # The topic is there once the first record is.
        time.sleep(2)
        for kill in range(args.kills):
            workers.append(dice.choice([n for n in (1, 2, 3) if n != (workers or [0])[-1]]))
            log = open(work / f"run-{kill}.log", "w")
            process = subprocess.Popen(arguments(binary, data, workers[-1], "never"), stdout=log, stderr=log)
            time.sleep(dice.uniform(0.3, 2.5))
            if kill in stops:
                broker.script("stop")
                time.sleep(dice.uniform(0.5, 3))
                broker.script("start")
                time.sleep(dice.uniform(0.0, 2))
            if process.poll() is not None:
                sys.exit(f"run {kill} ended by itself with {process.returncode}: {(work / f'run-{kill}.log').read_text()}")
            process.send_signal(signal.SIGKILL)
            process.wait()
        producer.join()
        if failures:
            sys.exit(f"the records were not all taken: {failures[:3]}")
        last = subprocess.run(arguments(binary, data, 2, "end"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if last.returncode != 0:
            sys.exit(f"the last run ended with {last.returncode}: {last.stderr}{last.stdout}")
        report = json.loads(last.stdout)["pipelines"][0]
        seconds = time.monotonic() - started
        problems = check(duckdb, broker, data, args.records)
        print(f"{args.records:,} records, {args.kills} kills, the broker stopped and started {len(stops)} times (during runs {sorted(stops)}), "
              f"workers {''.join(map(str, workers))}, {report['committed_epoch']:,} epochs, {seconds:.0f} s; seed {args.seed}")
        for problem in problems:
            print(problem, file=sys.stderr)
        print("every output exactly once, in the topic and in Delta, and equal to SQL's windows" if not problems else "OTHER")
    finally:
        # What the broker holds says why, if anything went wrong.
        broker.script("stop" if problems else "wipe")
        if problems:
            print(f"everything is kept in {work}", file=sys.stderr)
    if not args.work and not problems:
        shutil.rmtree(work)
    sys.exit(1 if problems else 0)


def check(duckdb, broker, data, records):
    """What is wrong with the topic and the table."""
    problems = []
    messages = consume(broker, "features")
    connection = duckdb.connect()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        for key, value in messages:
            file.write('{"key":"' + key.decode() + '",' + value.decode()[1:] + "\n")
        file.flush()
        columns = "{key: 'varchar', transaction_id: 'bigint', tx_datetime: 'timestamp', customer_id: 'bigint', tx_amount: 'decimal(12,2)', " \
                  "card: 'varchar', source_id: 'varchar', nb_tx_1h: 'bigint', nb_tx_1d: 'bigint', sum_amount_1h: 'decimal(38,2)', sum_amount_1d: 'decimal(38,2)'}"
        connection.execute(f"create table topic as select * from read_json('{file.name}', format = 'newline_delimited', columns = {columns})")
    _, files = proof.table_files(data, "features")
    names = "transaction_id, tx_datetime, customer_id, tx_amount, card, source_id, nb_tx_1h, nb_tx_1d, sum_amount_1h, sum_amount_1d"
    types = "transaction_id, tx_datetime at time zone 'UTC' as tx_datetime, customer_id, tx_amount, card, source_id, " \
            "nb_tx_1h::bigint as nb_tx_1h, nb_tx_1d::bigint as nb_tx_1d, " \
            "sum_amount_1h::decimal(38,2) as sum_amount_1h, sum_amount_1d::decimal(38,2) as sum_amount_1d"
    connection.execute("set timezone = 'UTC'")
    connection.execute(f"create table delta as select {types} from read_parquet({files}, hive_partitioning = true)")
    for table in ("topic", "delta"):
        rows, ids, low, high = connection.execute(
            f"select count(*), count(distinct transaction_id), min(transaction_id), max(transaction_id) from {table}").fetchone()
        if (rows, ids, low, high) != (records, records, 0, records - 1):
            problems.append(f"{table}: {rows:,} rows, {ids:,} records of {records:,}, from {low} to {high}")
    for a, b in (("topic", "delta"), ("delta", "topic")):
        differing = connection.execute(f"select count(*) from (select {names} from {a} except all select {names} from {b})").fetchone()[0]
        if differing:
            problems.append(f"{differing:,} rows of {a} are not in {b}")
    wrong_key = connection.execute("select count(*) from topic where key <> card or key <> customer_id::varchar").fetchone()[0]
    if wrong_key:
        problems.append(f"{wrong_key:,} messages have another key than their row")
    window = "partition by customer_id order by tx_datetime, transaction_id rows between unbounded preceding and current row"
    # A window is all rows of the customer up to this one, without those that are an hour old or older.
    older = "partition by customer_id order by tx_datetime range between unbounded preceding and interval 1 hour preceding"
    connection.execute(f"""
        create table expected as
        select transaction_id, count(*) over ({window}) - count(*) over ({older}) as nb_1h,
               sum(tx_amount) over ({window}) - coalesce(sum(tx_amount) over ({older}), 0) as sum_1h
        from delta""")
    wrong = connection.execute(
        "select count(*) from delta join expected using (transaction_id) where nb_tx_1h <> nb_1h or sum_amount_1h <> sum_1h").fetchone()[0]
    if wrong:
        problems.append(f"{wrong:,} rows have other windows than SQL's")
    return problems


if __name__ == "__main__":
    main()
