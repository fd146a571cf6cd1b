"""What the curves say, as Markdown, with the figures kept beside it."""

import json
import os

import curve_plot
from report import spread

FIGURES = {
    "rate": "per second", "megabytes": "MB/s", "p50": "p50, ms", "p99": "p99, ms",
    "processor": "CPU, µs", "resident": "RSS, MiB", "disk": "files, MiB",
}
SHORT = {
    "rate": "{:.0f}/s", "megabytes": "{:.1f} MB/s", "p50": "p50 {:.2f} ms", "p99": "p99 {:.2f} ms",
    "processor": "{:.1f} µs CPU", "resident": "{:.0f} MiB RSS", "disk": "{:.0f} MiB of files",
}
SIDES = {"etcd": "etcd", "ganglion": "Ganglion"}


def described(figures):
    if "missing" in figures:
        return f"missing: {figures['missing']}"
    return " ".join(form.format(figures[name]) for name, form in SHORT.items() if name in figures) or "not timed"


def entry(curve, rounds, about):
    """What is kept of a curve: for each point and work the figures of each side, one for each round."""
    def digits(figures):
        return {
            name: value if isinstance(value, str) else float(f"{value:.4g}") for name, value in figures.items()}

    return {"about": about, "points": [
        {"x": x, "works": {
            work.name: {kind: [digits(found[x][work.name][kind]) for found in rounds] for kind in SIDES}
            for work in curve.works}}
        for x in curve.points
    ]}


def missing(curve, entry, kind):
    """A line for each time that this side could not do its work."""
    return [
        f"{curve.quantity}: {curve.unit(point['x'])}: {name}, {SIDES[kind]}, round {number}: {figures['missing']}"
        for point in entry["points"]
        for name, sides in point["works"].items()
        for number, figures in enumerate(sides[kind], 1) if "missing" in figures
    ]


def figures_of(work):
    """Names, in the order of the columns."""
    names = []
    for panel in work.panels:
        names += ["p50", "p99"] if panel == "latency" else [panel]
    return names


def series(entry, work, kind, name):
    """For each x the values of the rounds in which there is one."""
    return [
        (point["x"], [figures[name] for figures in point["works"][work.name][kind] if name in figures])
        for point in entry["points"]
    ]


def table(curve, entry, work):
    names = figures_of(work)
    heads = [
        f"{said}: {FIGURES[name]}" if name == names[0] else FIGURES[name]
        for said in SIDES.values() for name in names
    ]
    lines = [f"| {curve.quantity} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    columns = [dict(series(entry, work, kind, name)) for kind in SIDES for name in names]
    for point in entry["points"]:
        cells = [spread(column[point["x"]]) if column[point["x"]] else "–" for column in columns]
        lines.append(f"| {curve.unit(point['x'])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def section(curve, entry, knees=""):
    parts = [
        f"## {capital(curve.quantity)}", curve.about, f"{entry['about']}; median (lowest–highest).",
        f"![{curve.quantity}]({curve_plot.file_name(curve)})",
    ]
    for work in curve.works:
        parts += [f"**{capital(work.name)}**", table(curve, entry, work)]
    gaps = [line for kind in SIDES for line in missing(curve, entry, kind)]
    if gaps:
        parts.append("Missing, with the reason:\n\n" + "\n".join(f"- `{line}`" for line in gaps))
    if knees:
        parts.append(f"**Knees explained.** {knees}")
    return "\n\n".join(parts) + "\n"


def capital(text):
    return text[0].upper() + text[1:]


# Files

HEAD = """# Scaling curves

Written by `make bench-curves`; what explains the knees is written by people in [knees.md](knees.md) and copied here.
Both axes are logarithmic; the bands are from the lowest to the highest round. How it is measured:
[README.md](README.md).
"""


def read(folder):
    """What was recorded before, by the curve's name."""
    path = os.path.join(folder, "curves.json")
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return json.load(file)


def explanations(folder):
    """The text below each `## NAME` of knees.md."""
    path = os.path.join(folder, "knees.md")
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        parts = ("\n" + file.read()).split("\n## ")[1:]
    return {part.partition("\n")[0].strip(): part.partition("\n")[2].strip() for part in parts}


def write(folder, curves, record):
    os.makedirs(folder, exist_ok=True)
    knees = explanations(folder)
    with open(os.path.join(folder, "curves.json"), "w") as file:
        json.dump(record, file, indent=1, sort_keys=True)
        file.write("\n")
    known = [curve for curve in curves if curve.name in record]
    with open(os.path.join(folder, "curves.md"), "w") as file:
        file.write("\n".join([HEAD] + [
            section(curve, record[curve.name], knees.get(curve.name, "")) for curve in known]))
    for curve in known:
        curve_plot.plot(curve, record[curve.name], os.path.join(folder, curve_plot.file_name(curve)))
