"""The table of features and clients, as a page."""

import textwrap

import compare
from features import PARTS

WIDTH = 100
HEAD = """# What PostgreSQL's clients find at our port

Made by `benches/query/clients/run.py`: each client runs the same tests against PostgreSQL 15 and
against `riskstream serve` with the same rows. In a cell:

- `same 12`: all of twelve answers are PostgreSQL's: names, types, values, SQLSTATEs
- `differs 3 7`: some are other ones, for the [reasons](#reasons) with these numbers
- `fails`: an error or no answer where PostgreSQL gives one, or a difference that nobody wants
- `-`: the client has no test of it
"""


def text(clients, found, missing, reasons):
    """The page."""
    lines = [HEAD]
    for group in dict.fromkeys(client.group for client in clients):
        of_group = [client for client in clients if client.group == group]
        lines += section(group, of_group, found, missing)
    lines += ["## The rows", ""]
    for part, rows in PARTS.items():
        lines += [f"**{part}**", ""]
        for feature, what, seen in rows:
            lines += bullet(f"- `{feature}`: {what}{f' ({seen})' if seen else ''}")
        lines.append("")
    lines += ["## Reasons", ""]
    for number, entry in enumerate(reasons, 1):
        lines += bullet(f"{number}. {entry['why']}", indent=len(f"{number}. "))
    return "\n".join(lines) + "\n"


def bullet(line, indent=2):
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def section(group, clients, found, missing):
    shown = [client.name for client in clients if client.name in found]
    lines = [f"## {group}", ""]
    for client in clients:
        if client.name in missing:
            lines += bullet(f"- {client.name}: not installed here: {missing[client.name]}")
        elif client.name in found:
            lines += bullet(f"- {client.name}: {client.about}")
    lines.append("")
    if not shown:
        return lines
    table = [["", *shown]]
    for rows in PARTS.values():
        for feature, _, _ in rows:
            cells = [
                compare.cell([row for row in found[name] if row[0] == feature]) for name in shown
            ]
            if any(cell != "-" for cell in cells):
                table.append([feature, *cells])
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    table.insert(1, ["-" * width for width in widths])
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]
