"""Clients that run heavy queries without pause, as a process of their own: clients.py PORT CLIENTS
QUERY...

Each line that comes on standard input switches them on or off; at its end, one line of JSON says
how many queries each has run and how long they took.
"""

import json
import statistics
import sys
import threading
import time

import psycopg

import queries


def client(number, port, texts, running, ended, took):
    """Queries one after the other while `running` is set."""
    url = f"host=127.0.0.1 port={port} user=bench dbname=riskstream"
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor(binary=True)
        at = number
        while not ended.is_set():
            if not running.wait(0.05):
                continue
            started = time.monotonic()
            cursor.execute(texts[at % len(texts)], prepare=False).fetchall()
            took.append(time.monotonic() - started)
            at += 1


def main():
    port, clients, names = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    known = {query.name: query for query in queries.all_queries()}
    texts = [known[name].of("riskstream") for name in names]
    running, ended, took = threading.Event(), threading.Event(), []
    threads = [
        threading.Thread(target=client, args=(n, port, texts, running, ended, took), daemon=True)
        for n in range(clients)
    ]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for line in sys.stdin:
        running.set() if line.strip() == "on" else running.clear()
    ended.set()
    for thread in threads:
        thread.join(30)
    print(
        json.dumps(
            {
                "queries": len(took),
                "median_s": statistics.median(took) if took else None,
                "most_s": max(took, default=None),
            }
        )
    )


if __name__ == "__main__":
    main()
