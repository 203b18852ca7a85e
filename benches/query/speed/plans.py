"""Where a query's time goes, as `explain` and `explain analyze` of riskstream's port say it."""

import re
import statistics
import time

METRIC = re.compile(r"(\w+)=([0-9.]+)\s?(ns|µs|us|ms|s|B|KB|MB|GB|K|M)?\b")
# Times in milliseconds; bytes and counts as they are.
UNITS = {"ns": 1e-6, "µs": 1e-3, "us": 1e-3, "ms": 1.0, "s": 1e3}
UNITS |= {"B": 1.0, "KB": 2**10, "MB": 2**20, "GB": 2**30, "K": 1e3, "M": 1e6}


def explained(server, text):
    """Of a query that has run before: how long it takes to plan, to plan and run, what its
    operators took, and what it read.
    """
    with server.connect() as connection:
        cursor = connection.cursor()

        def lines(statement):
            started = time.perf_counter()
            rows = cursor.execute(statement, prepare=False).fetchall()
            return 1_000 * (time.perf_counter() - started), [row[0] for row in rows]

        planning = statistics.median(lines(f"explain {text}")[0] for _ in range(5))
        whole, analyzed = lines(f"explain analyze {text}")
    operators = [operator(line) for line in analyzed if "metrics=[" in line]
    scans = [found for found in operators if "DataSourceExec" in found["operator"]]
    busiest = sorted(operators, key=lambda found: -found["compute_ms"])[:4]
    return {
        "plan_ms": planning,
        "analyze_ms": whole,
        "scanned_bytes": sum(scan["metrics"].get("bytes_scanned", 0.0) for scan in scans),
        "busiest": [f"{found['operator'][:60]}: {found['compute_ms']:.1f} ms" for found in busiest],
        "scans": [scan["metrics"] for scan in scans],
        "text": analyzed,
    }


def operator(line):
    """An operator of an analyzed plan with its metrics: times in milliseconds, sizes in bytes."""
    head, _, said = line.strip().partition("metrics=[")
    metrics = {}
    for name, number, unit in METRIC.findall(said):
        metrics[name] = float(number) * UNITS.get(unit, 1.0)
    compute = metrics.get("elapsed_compute", 0.0)
    # A scan's work is counted apart.
    compute = max(compute, metrics.get("time_elapsed_processing", 0.0))
    return {"operator": head.strip(" ,"), "compute_ms": compute, "metrics": metrics}
