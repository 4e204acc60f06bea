#!/usr/bin/env python3
"""Curves for the documentation, as SVG, from what gannet-loadgen wrote with --json.

usage: curves.py overload OUT.svg LABEL=RUN.json...     good answers and their p99 over time, by 100 ms
       curves.py compaction OUT.svg LABEL=RUN.json... p50, p99 and p99.9 over time, by 100 ms, of the stream `read`
       curves.py overshoot OUT.svg MILLISECONDS=RUN.json...  time beyond the budget, by percentile, of the stream `budget`

Nothing but the standard library; colours are readable on light and dark pages.
"""
import json
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 220, 70, 20, 34, 34
COLOURS = ["#2b7bba", "#d1662f", "#3a9a5b", "#8a5fb5"]


def path(points, colour):
    line = " ".join(f"{'M' if n == 0 else 'L'}{x:.1f},{y:.1f}" for n, (x, y) in enumerate(points))
    return f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def text(x, y, words, anchor="start", colour="#777"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def chart(title, unit, series, x_label, x_max, x_ticks, offset):
    """One chart below the others: `series` is a list of (label, [(x, y)])."""
    y_max = max((y for _, points in series for _, y in points), default=1) * 1.08 or 1
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    place = lambda x, y: (LEFT + x / x_max * inner_w, offset + TOP + (1 - y / y_max) * inner_h)
    out = [text(LEFT, offset + 16, title, colour="#888")]
    for step in range(5):
        value = y_max * step / 4
        _, y = place(0, value)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#9994" stroke-width="0.5"/>')
        out.append(text(LEFT - 6, y + 4, f"{value:,.0f}" if y_max >= 20 else f"{value:.2f}", "end"))
    for at, words in x_ticks:
        x, y = place(at, 0)
        out.append(text(x, y + 16, words, "end" if at >= x_max else "middle"))
    out.append(text(WIDTH - RIGHT, offset + HEIGHT - 4, x_label, "end"))
    out.append(text(WIDTH - RIGHT, offset + 16, unit, "end"))
    for n, (label, points) in enumerate(series):
        colour = COLOURS[n % len(COLOURS)]
        out.append(path([place(x, min(y, y_max)) for x, y in points], colour))
        out.append(text(LEFT + 150 + 130 * n, offset + 16, label, colour=colour))
    return out


def svg(charts):
    body = "\n".join(line for chart_lines in charts for line in chart_lines)
    height = HEIGHT * len(charts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="sans-serif" font-size="12">\n{body}\n</svg>\n')


def overload(runs):
    good, slow, seconds = [], [], 0
    for label, run in runs:
        rows = run["series"]["streams"][0]["per_100ms"]
        seconds = max(seconds, rows[-1]["start_ms"] / 1000 + 0.1)
        good.append((label, [(row["start_ms"] / 1000, row["good"] * 10) for row in rows]))
        slow.append((label, [(row["start_ms"] / 1000, (row["service_p99_us"] if "service_p99_us" in row else row["p99_us"] or 0) / 1000) for row in rows]))
    ticks = [(second, f"{second} s") for second in range(int(seconds) + 1)]
    return svg([chart("answers a second", "200s", good, "time", seconds, ticks, 0),
                chart("p99 from planned time", "ms", slow, "time", seconds, ticks, HEIGHT)])


def compaction(runs):
    charts, seconds = [], 0
    for label, run in runs:
        rows = next(stream for stream in run["series"]["streams"] if stream["name"] == "read")["per_100ms"]
        seconds = max(seconds, rows[-1]["start_ms"] / 1000 + 0.1)
        charts.append((label, [(words, [(row["start_ms"] / 1000, row[field] / 1000) for row in rows]) for field, words in (("p50_us", "p50"), ("p99_us", "p99"), ("p99_9_us", "p99.9"))]))
    step = max(1, int(seconds) // 10)
    ticks = [(second, f"{second} s") for second in range(0, int(seconds) + 1, step)]
    return svg([chart(f"reads {label}", "ms", series, "time", seconds, ticks, HEIGHT * n) for n, (label, series) in enumerate(charts)])


def overshoot(runs):
    percentiles = [("p50", "50 %"), ("p90", "90 %"), ("p99", "99 %"), ("p99_9", "99.9 %")]
    series = []
    for budget_ms, run in runs:
        times = next(stream for stream in run["streams"] if stream["name"] == "budget")["service_time_us"]
        series.append((f"{budget_ms} ms", [(n, max(0, times[p] / 1000 - float(budget_ms))) for n, (p, _) in enumerate(percentiles)]))
    ticks = [(n, words) for n, (_, words) in enumerate(percentiles)]
    return svg([chart("beyond a budget of", "ms", series, "share of answers", len(percentiles) - 1, ticks, 0)])


def main():
    kind, out, *named = sys.argv[1:]
    runs = []
    for one in named:
        label, file = one.split("=", 1)
        with open(file) as opened:
            runs.append((label, json.load(opened)))
    drawn = {"overload": overload, "compaction": compaction, "overshoot": overshoot}[kind](runs)
    with open(out, "w") as file:
        file.write(drawn)


if __name__ == "__main__":
    main()
