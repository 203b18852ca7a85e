#!/usr/bin/env python3
"""Kafka to Kafka and Delta, exactly once: our process is killed with SIGKILL again and again, and
brokers are stopped, killed and paused meanwhile.

    kafka.py [--binary PATH] [--records 1000000] [--kills 20] [--broker-stops 2]
             [--epoch-rows 5000] [--nodes 1] [--port 19292] [--seed N]

With seeds it prints a line per seed, and the sum of them:

    kafka.py --seeds 1,2,3,4242 --records 120000 --kills 4 --broker-stops 4 --epoch-rows 500 
             --nodes 3

Real brokers (examples/servers/kafka.sh), one or three of them (then with three replicas of every
topic), take records while runs are killed, each restarted with another number of workers. While
runs deliver, which is many commits a second, a broker is stopped as an operator would (SIGTERM),
killed (SIGKILL) or paused (SIGSTOP, SIGCONT), in turns, in an order that the seed chooses. At the
end a read_committed consumer of confluent-kafka must see the output of every record exactly once,
the Delta table must have the same rows with the same values, and the windows must be those that SQL
gives. Ends with 1 if anything differs; what the brokers and the runs of such a seed hold and said
is kept.
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


class Brokers:
    """One broker, or several that are one cluster."""

    def __init__(self, port, state, nodes):
        self.port, self.state, self.nodes = port, state, nodes
        self.servers = ",".join(f"127.0.0.1:{port + 2 * node}" for node in range(nodes))

    def script(self, action, node=None):
        environment = {
            **os.environ,
            "KAFKA_STATE": str(self.state),
            "KAFKA_PARTITIONS": str(PARTITIONS),
            "KAFKA_NODES": str(self.nodes),
        }
        if node:
            environment["KAFKA_NODE"] = str(node)
        if self.nodes > 1:
            environment.setdefault("KAFKA_HEAP", "384m")
        subprocess.run(
            [str(SERVER), action, str(self.port)],
            env=environment,
            check=True,
            stdin=subprocess.DEVNULL,
        )

    def disturb(self, how, dice):
        """Stops, kills or pauses a broker for a while; says for how long."""
        node = dice.randint(1, self.nodes)
        away = dice.uniform(0.2, 3)
        self.script(how, node)
        time.sleep(away)
        self.script("resume" if how == "pause" else "start", node)
        return f"{how} {node}"


def record(number):
    """The record of a number, with its key."""
    customer = number * 2_654_435_761 % CUSTOMERS
    seconds = 1_522_540_800 + number // 4
    # Up to 8 seconds out of order.
    seconds -= number * 40_503 % 9
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    amount = number * 7_919 % 100_000 + 1
    value = (
        f'{{"transaction_id":{number},"tx_datetime":"{at}","customer_id":{customer},'
        f'"tx_amount":{amount // 100}.{amount % 100:02}}}'
    )
    return str(customer), value


def produce(brokers, records, seconds, failures):
    """Produces all records in about so many seconds, through whatever happens to the broker."""
    from confluent_kafka import Producer

    refused = lambda error, _: failures.append(str(error)) if error else None
    producer = Producer(
        {
            "bootstrap.servers": brokers.servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "reconnect.backoff.max.ms": 500,
            "log_level": 2,
        }
    )
    started = time.monotonic()
    for number in range(records):
        key, value = record(number)
        while True:
            try:
                producer.produce(
                    "payments",
                    value,
                    key,
                    headers=[("source", str(number % 7))],
                    on_delivery=refused,
                )
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


def consume(brokers, topic):
    """Every message that a read_committed consumer sees, from the beginning to the end."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": brokers.servers,
            "group.id": "proof",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "log_level": 2,
        }
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    ends, messages = set(), []
    while len(ends) < PARTITIONS:
        batch = consumer.consume(10_000, 30)
        if not batch:
            raise Failed(f"the topic {topic} has no end")
        for message in batch:
            if message.error() is None:
                messages.append((message.key(), message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ends.add(message.partition())
            else:
                raise Failed(f"{topic}: {message.error()}")
    consumer.close()
    return messages


class Delivered:
    """How many messages there are in the topic that the runs deliver to, visible or not."""

    def __init__(self, brokers):
        from confluent_kafka import Consumer

        self.consumer = Consumer(
            {
                "bootstrap.servers": brokers.servers,
                "group.id": "proof",
                "log_level": 2,
                "reconnect.backoff.max.ms": 500,
            }
        )
        self.known = [0] * PARTITIONS

    def messages(self):
        from confluent_kafka import KafkaException, TopicPartition

        for partition in range(PARTITIONS):
            try:
                self.known[partition] = self.consumer.get_watermark_offsets(
                    TopicPartition("features", partition), timeout=1
                )[1]
            except KafkaException:
                # The topic is not there yet, or the broker is away.
                break
        return sum(self.known)

    def wait(self, process, seconds=15):
        """Waits until the run delivers."""
        before, until = self.messages(), time.monotonic() + seconds
        while self.messages() <= before and time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)


def arguments(args, binary, data, workers, stop):
    sets = [f"sources.payments.stop={stop}", f"riskstream.epoch.rows={args.epoch_rows}"]
    return proof.run_arguments(binary, data.parent / "kafka.toml", data, None, workers, sets)


class Failed(Exception):
    """Why a seed can't be judged, or is wrong."""


def kill_and_disturb(args, dice, binary, data, brokers):
    """Runs that are killed while brokers go and come back; the numbers of workers,
    and what was done to brokers.
    """
    kinds = ["stop", "kill", "pause"]
    dice.shuffle(kinds)
    # The disturbances are spread over the runs as evenly as possible.
    per_run = [
        args.broker_stops * (run + 1) // args.kills - args.broker_stops * run // args.kills
        for run in range(args.kills)
    ]
    workers, done, delivered = [], [], Delivered(brokers)
    for run, disturbances in enumerate(per_run):
        workers.append(dice.choice([n for n in (1, 2, 3) if n != (workers or [0])[-1]]))
        said = data.parent / f"run-{run}.log"
        with open(said, "w") as log:
            process = subprocess.Popen(
                arguments(args, binary, data, workers[-1], "never"), stdout=log, stderr=log
            )
        try:
            # Of the runs without a disturbance, three in ten may be killed before they deliver.
            if disturbances or dice.random() > 0.3:
                delivered.wait(process)
            time.sleep(dice.uniform(0.0, 1.5))
            for number in range(disturbances):
                if number:
                    delivered.wait(process)
                done.append(brokers.disturb(kinds[len(done) % 3], dice))
                time.sleep(dice.uniform(0.0, 2))
            if process.poll() is not None:
                raise Failed(
                    f"run {run} ended by itself with {process.returncode}: {said.read_text()}"
                )
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return workers, done


def prove(args, seed, binary, work, duckdb):
    """One seed; what it did, and what is wrong."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    dice, data = random.Random(seed), work / "data"
    brokers = Brokers(args.port, work / "broker", args.nodes)
    (work / "kafka.toml").write_text(
        (proof.HERE / "kafka.toml").read_text().replace("127.0.0.1:9092", brokers.servers)
    )
    brokers.script("wipe")
    brokers.script("start")
    failures, problems = [], ["not finished"]
    pace = max(args.kills * 1.6 + args.broker_stops * 2, args.records / 60_000)
    producer = threading.Thread(target=produce, args=(brokers, args.records, pace, failures))
    producer.start()
    started = time.monotonic()
    try:
        # The topic is there once the first record is.
        time.sleep(2)
        workers, done = kill_and_disturb(args, dice, binary, data, brokers)
        producer.join()
        if failures:
            raise Failed(f"the records were not all taken: {failures[:3]}")
        last = subprocess.run(
            arguments(args, binary, data, 2, "end"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if last.returncode != 0:
            raise Failed(f"the last run ended with {last.returncode}: {last.stderr}{last.stdout}")
        report = json.loads(last.stdout)["pipelines"][0]
        problems = check(duckdb, brokers, data, args.records)
        did = (
            f"{args.records:,} records, {args.kills} kills, {args.nodes} "
            f"node{'s' if args.nodes > 1 else ''}, {len(done)} broker stops "
            f"({', '.join(done)}), workers {''.join(map(str, workers))}, "
            f"{report['committed_epoch']:,} epochs, "
            f"{time.monotonic() - started:.0f} s; seed {seed}"
        )
    except Failed as why:
        did, done, problems = f"seed {seed}", [], [str(why)]
    finally:
        producer.join()
        # What the brokers hold says why, if anything went wrong.
        brokers.script("kill" if problems else "wipe")
    return did, len(done), problems


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="[1000000]")
    parser.add_argument("--kills", type=int, default=20, help="of our process [20]")
    parser.add_argument(
        "--broker-stops",
        type=int,
        default=2,
        help="a broker is stopped, killed or paused so often while our process runs [2]",
    )
    parser.add_argument(
        "--epoch-rows",
        type=int,
        default=5_000,
        help="of an epoch, at most: the fewer the more commits [5000]",
    )
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="brokers [1]")
    parser.add_argument(
        "--port",
        type=int,
        default=19_292,
        help="of the broker, the next one is its controller's; "
        "two more for each further node [19292]",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=int(time.time()),
        help="of the moments and numbers of workers [the clock]",
    )
    parser.add_argument(
        "--seeds", help="several, with commas between, or FIRST..LAST; one after the other"
    )
    args = parser.parse_args()
    proof.with_readers("confluent_kafka")
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-kafka-"))
    seeds = [args.seed]
    if args.seeds:
        seeds = [seed for part in args.seeds.split(",") for seed in numbers(part)]
    wrong, stops = [], 0
    for seed in seeds:
        folder = work / f"seed-{seed}"
        did, disturbed, problems = prove(args, seed, binary, folder, duckdb)
        stops += disturbed
        print(f"{'every output exactly once' if not problems else 'OTHER'}: {did}", flush=True)
        for problem in problems:
            print(problem, file=sys.stderr, flush=True)
        if problems:
            wrong.append(seed)
            print(f"everything is kept in {folder}", file=sys.stderr, flush=True)
        else:
            shutil.rmtree(folder)
    print(
        f"{len(seeds)} seeds, {stops} broker stops: "
        + (
            f"seeds {wrong} are wrong"
            if wrong
            else "every output exactly once, in the topic and in Delta, and equal to SQL's windows"
        )
    )
    if not args.work and not wrong:
        shutil.rmtree(work)
    sys.exit(1 if wrong else 0)


def numbers(part):
    """A number, or FIRST..LAST."""
    first, _, last = part.partition("..")
    return range(int(first), int(last or first) + 1)


def check(duckdb, brokers, data, records):
    """What is wrong with the topic and the table."""
    problems = []
    messages = consume(brokers, "features")
    connection = duckdb.connect()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        for key, value in messages:
            file.write('{"key":"' + key.decode() + '",' + value.decode()[1:] + "\n")
        file.flush()
        columns = (
            "{key: 'varchar', transaction_id: 'bigint', tx_datetime: 'timestamp', "
            "customer_id: 'bigint', tx_amount: 'decimal(12,2)', "
            "card: 'varchar', source_id: 'varchar', nb_tx_1h: 'bigint', nb_tx_1d: 'bigint', "
            "sum_amount_1h: 'decimal(38,2)', sum_amount_1d: 'decimal(38,2)'}"
        )
        connection.execute(
            f"create table topic as select * from read_json('{file.name}', format = "
            f"'newline_delimited', columns = {columns})"
        )
    _, files = proof.table_files(data, "features")
    names = (
        "transaction_id, tx_datetime, customer_id, tx_amount, card, source_id, nb_tx_1h, nb_tx_1d, "
        "sum_amount_1h, sum_amount_1d"
    )
    types = (
        "transaction_id, tx_datetime at time zone 'UTC' as tx_datetime, customer_id, "
        "tx_amount, card, source_id, "
        "nb_tx_1h::bigint as nb_tx_1h, nb_tx_1d::bigint as nb_tx_1d, "
        "sum_amount_1h::decimal(38,2) as sum_amount_1h, sum_amount_1d::decimal(38,2) "
        "as sum_amount_1d"
    )
    connection.execute("set timezone = 'UTC'")
    connection.execute(
        f"create table delta as select {types} from read_parquet({files}, hive_partitioning = true)"
    )
    for table in ("topic", "delta"):
        rows, ids, low, high = connection.execute(
            "select count(*), count(distinct transaction_id), min(transaction_id), "
            f"max(transaction_id) from {table}"
        ).fetchone()
        if (rows, ids, low, high) != (records, records, 0, records - 1):
            problems.append(
                f"{table}: {rows:,} rows, {ids:,} records of {records:,}, from {low} to {high}"
            )
    for a, b in (("topic", "delta"), ("delta", "topic")):
        differing = connection.execute(
            f"select count(*) from (select {names} from {a} except all select {names} from {b})"
        ).fetchone()[0]
        if differing:
            problems.append(f"{differing:,} rows of {a} are not in {b}")
    wrong_key = connection.execute(
        "select count(*) from topic where key <> card or key <> customer_id::varchar"
    ).fetchone()[0]
    if wrong_key:
        problems.append(f"{wrong_key:,} messages have another key than their row")
    window = (
        "partition by customer_id order by tx_datetime, transaction_id rows between unbounded "
        "preceding and current row"
    )
    # A window is all rows of the customer up to this one, without those that are an hour old or
    # older.
    older = (
        "partition by customer_id order by tx_datetime range between unbounded preceding and "
        "interval 1 hour preceding"
    )
    connection.execute(f"""
        create table expected as
        select transaction_id, count(*) over ({window}) - count(*) over ({older}) as nb_1h,
               sum(tx_amount) over ({window}) - coalesce(sum(tx_amount) over ({older}), 0) as sum_1h
        from delta""")
    wrong = connection.execute(
        "select count(*) from delta join expected using (transaction_id) where nb_tx_1h <> nb_1h "
        "or sum_amount_1h <> sum_1h"
    ).fetchone()[0]
    if wrong:
        problems.append(f"{wrong:,} rows have other windows than SQL's")
    return problems


if __name__ == "__main__":
    main()
