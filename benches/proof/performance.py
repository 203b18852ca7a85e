#!/usr/bin/env python3
"""Compares prepayments, defaults, cures and the score-shift matrix of
examples/loan-performance.toml with DuckDB's answers over the same changes.

    performance.py [--loans N] [--months N] [--binary PATH]

A simulated loan book is written to a file; the example reads it with 1, 2 and 3 workers. DuckDB
works each loan's row at every month's end out of the changes by itself. Counts and money must be
equal, rates within 1e-9, on all rows. Ends with 1 if one isn't.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import proof

BANDS = [580, 670, 740, 800]
NAMES = ["1 below 580", "2 580-669", "3 670-739", "4 740-799", "5 800 and up"]


def band(column):
    cases = " ".join(f"when {column} < {limit} then '{name}'" for limit, name in zip(BANDS, NAMES))
    return f"case {cases} else '{NAMES[-1]}' end"


def month_ends(changes):
    """Each loan's row as of every month's end up to the last change:
    the last one before it, unless that deletes the loan.
    """
    return f"""
        with changes as (
            select *, row_number() over (order by _commit_position nulls first, _position) as place
            from '{changes}'
        ),
        ends as (
            select unnest(generate_series(
                date_trunc('month', min(_committed_at)) + interval '1 month',
                max(_committed_at), interval '1 month')) as as_of
            from changes
        ),
        last as (
            select distinct on (as_of, loan_id) as_of, c.* from ends
                join changes c on c._committed_at < as_of
            order by as_of, loan_id, place desc
        )
        select * from last where _op <> 'd'"""


def flows(table):
    """What happened to open loans from one month's end to the next: the numbers of the example,
    computed here from the definitions of the rates.
    """
    late = (
        lambda c, more="": f"case {c} when 'DPD30' then 1 when 'DPD60' then 2 "
        f"when 'DPD90P' then 3 {more} else 0 end"
    )
    return f"""
        with pairs as (
            select b.as_of, b.as_of - interval '1 month' as month, a.lender_id, b.currency,
                a.balance_cents as start, b.balance_cents as now,
                b.charged_off_cents - a.charged_off_cents as charged,
                b.recovered_cents - a.recovered_cents as recovered, b.status,
                cast(b.rate as double) / 12 as r, {late("a.status")} as before,
                {late("b.status", "when 'DEFAULT' then 4")} as after,
                greatest(b.term_months - date_diff('month', date_trunc('month', b.originated_on),
                    a.as_of), 1) as n
            from {table} a join {table} b on a.loan_id = b.loan_id
                and a.as_of = b.as_of - interval '1 month'
            where a.status in ('CURRENT', 'DPD30', 'DPD60', 'DPD90P')
        ),
        due as (
            select *, cast(round(case when r = 0 then start::double / n
                else start::double * r / (power(1 + r, n) - 1) end) as bigint) as scheduled,
                greatest(start - now - charged, 0) as paid
            from pairs
        ),
        sums as (
            select lender_id, currency, month, count(*) as n_loans,
                sum(start) as start_balance_cents, sum(scheduled) as scheduled_cents,
                coalesce(sum(greatest(paid - scheduled, 0)) filter (status <> 'DEFAULT'), 0)
                    as prepaid_cents,
                count(*) filter (status = 'DEFAULT') as n_defaults,
                coalesce(sum(start) filter (status = 'DEFAULT'), 0) as defaulted_cents,
                sum(charged) as charged_off_cents, sum(recovered) as recovered_cents,
                count(*) filter (before > 0) as n_late,
                count(*) filter (before > 0 and after = 0) as n_cured,
                count(*) filter (after > 0 and after < before) as n_partly_cured,
                coalesce(sum(start) filter (before > 0 and after = 0), 0) as cured,
                coalesce(sum(start) filter (before > 0), 0) as late
            from due group by all
        )
        select * exclude (cured, late),
            prepaid_cents / (start_balance_cents - scheduled_cents)::double as smm,
            1 - power(1 - prepaid_cents / (start_balance_cents - scheduled_cents)::double, 12)
                as cpr,
            defaulted_cents / start_balance_cents::double as mdr,
            1 - power(1 - defaulted_cents / start_balance_cents::double, 12) as cdr,
            n_cured / nullif(n_late, 0)::double as cure_rate,
            cured / nullif(late, 0)::double as cure_rate_balance
        from sums"""


def matrix(table):
    return f"""
        with open as (
            select as_of - interval '1 month' as month, lender_id,
                {band("score_at_origination")} as band_at_origination, {band("score")} as band,
                balance_cents
            from {table} where status in ('CURRENT', 'DPD30', 'DPD60', 'DPD90P')
        ),
        cells as (
            select coalesce(lender_id, 'ALL') as lender_id, month, band_at_origination, band,
                count(*) as n_loans, sum(balance_cents) as balance_cents
            from open group by grouping sets ((lender_id, month, band_at_origination, band),
                (month, band_at_origination, band))
        )
        select *, n_loans / sum(n_loans) over row as share, sum(n_loans) over row as n_of_band,
            balance_cents / sum(balance_cents) over row as share_balance
        from cells window row as (partition by lender_id, month, band_at_origination)"""


TABLES = {
    "performance": (
        ["lender_id", "currency", "month"],
        [
            "n_loans",
            "start_balance_cents",
            "scheduled_cents",
            "prepaid_cents",
            "n_defaults",
            "defaulted_cents",
            "charged_off_cents",
        ]
        + ["recovered_cents", "n_late", "n_cured", "n_partly_cured"],
        ["smm", "cpr", "mdr", "cdr", "cure_rate", "cure_rate_balance"],
    ),
    "score_shift": (
        ["lender_id", "month", "band_at_origination", "band"],
        ["n_loans", "balance_cents", "n_of_band"],
        ["share", "share_balance"],
    ),
}


def breaks(data):
    """Rows that contradict themselves; their table is there once there is one."""
    import duckdb

    if not (Path(data) / "tables" / "performance_breaks").exists():
        return 0
    _, files = proof.table_files(data, "performance_breaks")
    return (
        0
        if files == "[]"
        else duckdb.execute(f"select count(*) from read_parquet({files})").fetchone()[0]
    )


def main():
    parser = proof.arguments(__doc__)
    parser.add_argument("--loans", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=24)
    args = parser.parse_args()
    proof.with_readers()
    import duckdb

    binary = proof.program(args.binary)
    work = Path(args.work or tempfile.mkdtemp(prefix="riskstream-performance-"))
    work.mkdir(parents=True, exist_ok=True)
    changes = work / "changes.parquet"
    proof.subprocess.run(
        [
            binary,
            "generate",
            "--of",
            "loans",
            "--out",
            str(changes),
            "--loans",
            str(args.loans),
            "--months",
            str(args.months),
        ],
        check=True,
    )
    duckdb.execute("set timezone = 'UTC'")
    duckdb.execute(f"create table month_ends as {month_ends(changes)}")
    duckdb.execute(f"create table expected_performance as {flows('month_ends')}")
    duckdb.execute(f"create table expected_score_shift as {matrix('month_ends')}")
    results, bad = [], 0
    example = (proof.PROJECT / "examples" / "loan-performance.toml").read_text()
    start = example.index("[sources.loan-changes]")
    end = example.index("# Each loan from one month's end")
    source = (
        f'[sources.loan-changes]\nkind = "file"\npath = "{changes}"\n'
        f'event_time = {{ column = "_committed_at" }}\n\n'
    )
    config = work / "performance.toml"
    config.write_text(example[:start] + source + example[end:])
    for workers in (1, 2, 3):
        data = work / "data"
        shutil.rmtree(data, ignore_errors=True)
        proof.run(binary, config, data, None, workers)
        for table, (keys, exact, rates) in TABLES.items():
            _, files = proof.table_files(data, table)
            # A cell without loans, which a restatement has emptied, is left out.
            duckdb.execute(f"""create or replace view found as select * from read_parquet({files})
                qualify row_number() over (
                    partition by {", ".join(keys)} order by revision desc) = 1""")
            duckdb.execute("create or replace view kept as select * from found where n_loans > 0")
            joined = " and ".join(f"f.{k} = e.{k}" for k in keys)
            same = [f"f.{c} is not distinct from e.{c}" for c in exact]
            same += [
                f"(f.{c} is not distinct from e.{c} or abs(f.{c} - e.{c}) <= 1e-9)" for c in rates
            ]
            rows, differ = duckdb.execute(f"""select count(*), count(*) filter
                    (f.n_loans is null or e.n_loans is null or not ({" and ".join(same)}))
                from kept f full join expected_{table} e on {joined}""").fetchone()
            bad += differ > 0 or rows == 0
            results.append(
                [table, workers, rows, differ, "equal" if differ == 0 and rows > 0 else "DIFFERENT"]
            )
        bad += breaks(data) > 0
    proof.print_table(["table", "workers", "rows", "different", "result"], results)
    if not args.work:
        shutil.rmtree(work)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
