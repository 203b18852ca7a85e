"""The page about what analyst.py has measured of one set of tables."""

import measured

import chart

OURS = "riskstream"
# Our total over DuckDB's better one, by how the tables are.
GOALS = {"standing": 1.0, "compacted": 1.1}
GOAL_LOOK_UP = 1.5


def report(variant, found):
    """Prints what was found of one set of tables; whether answers are equal and goals are met."""
    payments = found["tables"]["payments_scored"]
    print(
        f"\n{variant}: payments_scored is {payments['files']} files, {payments['rows']:,} rows, "
        f"{payments['bytes'] / 2**20:,.0f} MB, {payments['log_files']} files of log\n"
    )
    for difference in found["differences"]:
        print(f"  DIFFERENT {difference}")
    if "ms" not in found:
        return False
    names = list(dict.fromkeys(name for times in found["ms"].values() for name in times))
    duck = [name for name in names if name.startswith("DuckDB")]
    header = ["ms, median", *names, "best DuckDB", "process", "rows MB", "other MB"]
    lines = []
    for query, times in found["ms"].items():
        best = min(times[name] for name in duck)
        cells = [f"{times[name]:,.1f}" if name in times else "" for name in names]
        whole = found.get("process_ms", {}).get(query)
        plan = found["plans"][query]
        lines.append(
            [
                query,
                *cells,
                f"{times[OURS] / best:.2f}",
                f"{whole:,.0f}" if whole else "",
                f"{plan['scanned_bytes'] / 2**20:.1f}",
                f"{plan['other_bytes'] / 2**20:.1f}",
            ]
        )
    common = [times for times in found["ms"].values() if all(name in times for name in names)]
    totals = {name: sum(times[name] for times in common) for name in names}
    counted = [times for times in found["cpu_ms"].values() if len(times) == len(names)]
    cpu = {name: sum(times[name] for times in counted) for name in names}
    wholes = sum(found.get("process_ms", {}).values())
    best = min(totals[name] for name in duck)
    ends = {f"all ({len(common)})": (totals, f"{wholes:,.0f}"), "processors": (cpu, "")}
    for name, (of, whole) in ends.items():
        ratio = of[OURS] / min(of[d] for d in duck)
        lines.append([name, *(f"{of[n]:,.0f}" for n in names), f"{ratio:.2f}", whole, "", ""])
    print(measured.table(header, lines))
    print("\n" + chart.terminal("total", totals, "ms"))
    for name in duck:
        print(f"  riskstream over {name}: {totals[OURS] / totals[name]:.2f}")
    goals = [goal("riskstream over the better DuckDB", totals[OURS] / best, GOALS[variant])]
    looked = found["look_up_ms"]
    delta = min(ms for name, ms in looked.items() if name.startswith("deltalake"))
    print("\n" + chart.terminal("look-up of one transaction_id, all columns", looked, "ms"))
    goals.append(goal("riskstream over deltalake", looked[OURS] / delta, GOAL_LOOK_UP))
    found["totals_ms"], found["cpu_totals_ms"] = totals, cpu
    found["over_duckdb"] = {name: totals[OURS] / totals[name] for name in duck}
    found["look_up_over_deltalake"] = looked[OURS] / delta
    return all(goals) and not found["differences"]


def goal(name, ratio, most):
    """Says whether a goal is met; whether it is."""
    print(f"  {name}: {ratio:.2f} (goal {most:g}: {'met' if ratio <= most else 'MISSED'})")
    return ratio <= most
