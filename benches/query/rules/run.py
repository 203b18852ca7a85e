#!/usr/bin/env python3
"""Row and column rules under attack, and the audit.

    run.py [--binary PATH] [--statements 20000] [--seed N] [--only PART]... [--keep FOLDER]
    run.py --seed N --one NUMBER

Two servers of the program: FULL has the rows of many lenders, A-ONLY those of lender A alone; both
have the same users. Whatever A sends must be answered alike: rows, texts and SQLSTATEs of errors,
plans, catalog. Parts: `attacks` (a table of cases), `generated` (statements that are made from the
seed; one that is answered otherwise is printed in a small form, with its number), `checks` (what
has an expectation of its own: odd lenders, changed policies, cancel keys, memory, folders),
`tokens` (JWT), `times` (hidden and absent keys), `cli` (`riskstream query --as`, if there is one),
`flight` (with `--flight`: what there is, plans, handles), `seen` (`/metrics`, the log and
`system.queries` of a run), `audit` (every statement is recorded once; what is changed is found).
Ends with 1 where something is wrong.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "proof"))

import proof  # noqa: E402

PARTS = ["attacks", "generated", "checks", "tokens", "times", "cli", "flight", "seen", "audit"]
# What a run needs besides Python.
NEEDS = ["psycopg"]


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", metavar="PATH", help="the program [default: built by cargo]")
    parser.add_argument("--statements", type=int, default=20_000, help="generated ones [20000]")
    parser.add_argument("--seed", type=int, default=19, help="of rows and statements [19]")
    parser.add_argument("--one", type=int, metavar="NUMBER", help="this generated statement alone")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    parser.add_argument("--before", default="", help="words in front of the program: 'nice -n 19'")
    parser.add_argument("--seconds", type=float, help="for generated statements [no limit]")
    parser.add_argument("--flight", action="store_true", help="asks the Flight SQL port as well")
    parser.add_argument(
        "--keep", metavar="FOLDER", help="makes the rows there, and takes those that are there"
    )
    return parser.parse_args()


class Report:
    """What was tried and what is wrong, by group."""

    def __init__(self):
        self.tried, self.wrong = Counter(), Counter()

    def add(self, group, wrong=None):
        self.tried[group] += 1
        if wrong is not None:
            self.wrong[group] += 1
            print(wrong, "\n", flush=True)

    def pairs(self, group, pairs):
        """Of checks: pairs of what and why."""
        self.tried[group] += 1
        for what, why in pairs:
            self.wrong[group] += 1
            print(f"{group}: {what}\n  {why}\n", flush=True)

    def shown(self):
        proof.print_table(
            ["what", "tried", "wrong"],
            [[group, str(self.tried[group]), str(self.wrong[group])] for group in self.tried],
        )


class Run:
    """All parts, over one world."""

    def __init__(self, args, world, tokens):
        self.args, self.world, self.tokens = args, world, tokens
        self.report = Report()

    def attacks(self):
        from attacks import cases
        from compare import Pair, run_case

        pair = Pair(self.world)
        for case in cases():
            found = run_case(self.world, pair, case)
            self.report.add(case.group, "\n".join(d.shown() for d in found) or None)
        pair.close()

    def generated(self):
        from generated import Generated

        flights = None
        if self.args.flight:
            from flight import Flight

            flights = [Flight(side, "acme") for side in self.world.sides]
        run = Generated(self.world, flights)
        until = None if self.args.seconds is None else time.monotonic() + self.args.seconds
        began = time.monotonic()
        if self.args.one is None:
            run.run(self.args.seed, self.args.statements, until)
        else:
            run.one(self.args.one)
        for difference in run.found:
            self.report.add("generated", difference.shown())
        self.report.tried["generated"] = run.asked
        print(
            f"{run.asked} generated statements in {time.monotonic() - began:.0f} s: {run.errors} "
            f"with an error, {run.empty} without rows, {run.rows} rows"
        )
        run.close()

    def checks(self):
        import checks

        for check in checks.ALL:
            self.report.pairs(check.__name__.replace("_", " "), check(self.world))

    def tokens_(self):
        from tokens import checks

        self.report.pairs("tokens", checks(self.world, self.tokens))

    def times(self):
        from timing import Timing

        timing = Timing(self.world, self.args.seed)
        for text, told in timing.lines(timing.measure()):
            print(f"times: {text}")
            self.report.add("times", f"times: {text}: told apart" if told else None)

    def cli(self):
        from command_line import checks

        self.report.pairs("command line", checks(self.world))

    def flight(self):
        if self.args.flight:
            from flight_checks import checks

            self.report.pairs("Flight SQL", checks(self.world))

    def seen(self):
        from seen import checks

        self.report.pairs("metrics, log, system.queries", checks(self.world))

    def audit(self):
        from audit import SYNC_S, Sent, Tampering

        sent = Sent(self.world)
        sent.send()
        time.sleep(SYNC_S)
        self.report.pairs("audit: each statement once", sent.checks())
        self.world.full.stop_server()
        tampering = Tampering(self.world.full, self.world.folder)
        self.report.pairs("audit: changes are found", tampering.checks())

    def all(self):
        # The last one stops a server.
        parts = [part for part in PARTS if part in (self.args.only or PARTS)]
        for part in parts if self.args.one is None else ["generated"]:
            getattr(self, "tokens_" if part == "tokens" else part)()
        self.report.shown()
        return 1 if self.report.wrong.total() else 0


def prepare(args, folder):
    """The rows, the users and the servers."""
    from tokens import Tokens
    from users import Users, certificate
    from world import Unlucky, World

    made = folder / "made"
    if not made.exists():
        for attempt in range(5):
            world = World(args, folder / f"try-{attempt}")
            try:
                world.make()
                made.write_text(f"try-{attempt}")
                break
            except Unlucky as unlucky:
                print(unlucky, file=sys.stderr)
                world.stop()
        else:
            sys.exit("no run could be held with rows that have not landed")
    else:
        world = World(args, folder / made.read_text(), is_made=True)
    if not (world.folder / "tls").exists():
        certificate(world.folder / "tls")
    keys = world.folder / "keys"
    keys.mkdir(exist_ok=True)
    tokens = Tokens(keys)
    for side in world.sides:
        (side.folder / "jwks.json").write_text(tokens.key_set())
        side.users = Users(args.binary)
        side.users.write(side.folder)
        side.serve()
    world.come()
    return world, tokens


def main():
    args = options()
    # What reads tables is not needed here.
    proof.READERS.clear()
    proof.with_readers(*NEEDS, *(["adbc_driver_flightsql", "pyarrow"] if args.flight else []))
    args.binary = proof.program(args.binary)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="riskstream-rules-") as temporary:
        folder = Path(args.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        world, tokens = prepare(args, folder)
        print(f"seed {args.seed}; servers after {time.monotonic() - began:.0f} s", flush=True)
        try:
            return Run(args, world, tokens).all()
        finally:
            world.stop()


if __name__ == "__main__":
    sys.exit(main())
