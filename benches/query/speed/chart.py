"""Bars, in the terminal and as a picture."""

import html

BLOCKS = " ▏▎▍▌▋▊▉"
COLORS = ("#1f6feb", "#d29922", "#bf8700", "#8957e5", "#57606a", "#2da44e")


def terminal(title, values, unit, width=50):
    """A line for each name and value, the longest bar for the largest."""
    most = max(values.values(), default=0) or 1
    label = max((len(name) for name in values), default=0)
    lines = [title]
    for name, value in values.items():
        eighths = round(value / most * width * 8)
        bar = "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()
        lines.append(f"  {name.ljust(label)} {bar} {value:,.0f} {unit}")
    return "\n".join(lines)


def picture(title, groups, unit):
    """An SVG with a group of bars for each key of `groups`: {group: {series: value}}."""
    series = list(dict.fromkeys(name for values in groups.values() for name in values))
    most = max((v for values in groups.values() for v in values.values()), default=0) or 1
    left, wide, bar, gap, top = 150, 560, 9, 10, 40 + 16 * len(series)
    parts, y = [], top
    for group, values in groups.items():
        middle = y + bar * len(values) / 2 + 4
        parts.append(text(left - 8, middle, group, anchor="end"))
        for name, value in values.items():
            color = COLORS[series.index(name) % len(COLORS)]
            length = max(1.0, value / most * wide)
            parts.append(
                f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 1}" '
                f'fill="{color}"/>'
            )
            parts.append(text(left + length + 4, y + bar - 1, f"{value:,.1f}", size=8))
            y += bar
        y += gap
    legend = []
    for at, name in enumerate(series):
        color = COLORS[at % len(COLORS)]
        legend.append(
            f'<rect x="{left}" y="{30 + 16 * at}" width="10" height="10" fill="{color}"/>'
        )
        legend.append(text(left + 16, 39 + 16 * at, name))
    head = text(left, 18, f"{title} ({unit})", size=13)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 70}" height="{y + 10}" '
        f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join([head, *legend, *parts])
        + "\n</svg>\n"
    )


def text(x, y, said, size=11, anchor="start"):
    """A piece of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
        f"{html.escape(said)}</text>"
    )
