#!/usr/bin/env python3
"""Compares roll rates per lender and month, in count and money, with golden answers, for
loan-months in order and out of order.

    roll_rates.py MONTHLY.parquet GOLDEN.parquet [--binary PATH]

MONTHLY has the columns loan_id, month, status, balance, and lender_id or seller. The rows come in
order of months; up to 45 days out of order with 45 days allowed; and the same with 2 days allowed,
so that rows are late and restate what was published. Each with 1, 2 and 3 workers, published as
windows change and only when they are final. The newest row of every lender, month and pair of
statuses must equal the golden answer's, on all rows, rates within 1e-12, and no identity may break.
Ends with 1 if one doesn't.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import proof

ORDERS = [
    ("in order", "month, loan_id", "2d"),
    ("shuffled", "jittered", "45d"),
    ("late", "jittered", "2d"),
]
SECONDS = 45 * 86_400


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("monthly", type=Path)
    parser.add_argument("golden", type=Path)
    args = parser.parse_args()
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-rolls-"))
    work.mkdir(parents=True, exist_ok=True)
    duckdb.execute("set preserve_insertion_order = true; set timezone = 'UTC'")
    source = f"'{args.monthly.resolve()}'"
    columns = [row[0] for row in duckdb.execute(f"describe select * from {source}").fetchall()]
    lender = "lender_id" if "lender_id" in columns else "seller"
    rows = f"""select loan_id, cast(month as timestamptz) as month, {lender} as lender_id, status,
        cast(round(balance * 100) as bigint) as balance_cents,
        epoch(month) + hash(loan_id, month) % {SECONDS} as jittered from {source}"""
    for name, order, _ in ORDERS:
        duckdb.execute(
            f"copy (select * exclude jittered from ({rows}) order by {order}) to "
            f"'{work}/{name}.parquet'"
        )
    golden = f"""select lender_id, month, from_status, to_status, n_loans, from_balance_cents,
        n_from, roll_rate, roll_rate_balance from '{args.golden.resolve()}'"""
    expected = duckdb.execute(f"select count(*) from ({golden})").fetchone()[0]
    results, bad = [], 0
    for name, _, out_of_orderness in ORDERS:
        for number, when in enumerate(["changes", "final"] * 3):
            workers = 1 + number // 2
            data = work / "data"
            shutil.rmtree(data, ignore_errors=True)
            config = work / "roll_rates.toml"
            text = (proof.HERE / "roll_rates.toml").read_text()
            text = text.replace(
                'out_of_orderness = "2d"', f'out_of_orderness = "{out_of_orderness}"'
            )
            config.write_text(text.replace('= "changes"', f'= "{when}"'))
            report = proof.run(
                binary, config, data, None, workers, [f"sources.loans.path={work}/{name}.parquet"]
            )
            _, files = proof.table_files(data, "roll_rates")
            duckdb.execute(f"""create or replace view found as
                select lender_id, cast(window_start as date) as month, from_status,
                    status as to_status, n_loans, from_balance_cents, n_from, roll_rate,
                    roll_rate_balance from read_parquet({files})
                qualify row_number() over (partition by lender_id, from_status, status,
                    window_start order by revision desc) = 1""")
            close = lambda c: f"(f.{c} is not distinct from g.{c} or abs(f.{c} - g.{c}) <= 1e-12)"
            same = " and ".join(
                [
                    *(
                        f"f.{c} is not distinct from g.{c}"
                        for c in ("n_loans", "from_balance_cents", "n_from")
                    ),
                    close("roll_rate"),
                    close("roll_rate_balance"),
                ]
            )
            missing, other, extra = duckdb.execute(
                f"""select count(*) filter (f.lender_id is null),
                    count(*) filter (f.lender_id is not null and g.lender_id is not null
                    and not ({same})),
                count(*) filter (g.lender_id is null)
                from (select * from found where n_loans > 0) f
                    full join ({golden}) g using (lender_id, month, from_status, to_status)"""
            ).fetchone()
            breaks = report["alerts"]
            bad += missing + other + extra + breaks > 0
            published = duckdb.execute(f"select count(*) from read_parquet({files})").fetchone()[0]
            results.append(
                [
                    name,
                    when,
                    workers,
                    report["rows_in"],
                    report["late"],
                    report["dead"],
                    published,
                    f"-{missing} ~{other} +{extra} of {expected:,}",
                    breaks,
                    report["seconds"],
                ]
            )
    proof.print_table(
        [
            "rows",
            "results",
            "workers",
            "rows in",
            "late",
            "dead",
            "published",
            "roll rates",
            "breaks",
            "seconds",
        ],
        results,
    )
    if not args.work:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
