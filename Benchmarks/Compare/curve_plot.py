"""A curve's plots: a row of panels for each work, both sides in each."""

import io
import re
import statistics

COLORS = {"etcd": "#c0722a", "ganglion": "#1f5f8b"}
NAMES = {"etcd": "etcd", "ganglion": "Ganglion"}
# Of a panel: its label, and its figures with the style of their lines.
PANELS = {
    "rate": ("per second", {"rate": "-"}),
    "megabytes": ("MB/s", {"megabytes": "-"}),
    "latency": ("ms: p50, dashed p99", {"p50": "-", "p99": "--"}),
    "processor": ("CPU µs per operation", {"processor": "-"}),
    "resident": ("RSS, MiB", {"resident": "-"}),
    "disk": ("files, MiB", {"disk": "-"}),
}


def file_name(curve):
    return f"curve-{curve.name}.svg"


def plot(curve, entry, path):
    import matplotlib

    matplotlib.use("svg")
    # The same figures must make the same file, and letters need not be drawn as lines.
    matplotlib.rcParams.update({
        "svg.hashsalt": curve.name, "svg.fonttype": "none", "font.size": 8, "font.sans-serif": ["DejaVu Sans"]})
    import matplotlib.pyplot as pyplot

    rows, columns = len(curve.works), max(len(work.panels) for work in curve.works)
    figure, grid = pyplot.subplots(rows, columns, figsize=(3.1 * columns, 2.2 * rows + 0.3), squeeze=False)
    for work, axes in zip(curve.works, grid):
        for panel, axis in zip(work.panels, axes):
            draw(axis, curve, entry, work, panel)
        for axis in axes[len(work.panels):]:
            axis.set_visible(False)
    grid[0][0].legend(fontsize=7)
    figure.tight_layout()
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    with open(path, "w") as file:
        file.write(smaller(drawing.getvalue()))


def smaller(drawing):
    """Hundredths of a point are enough, and so is one blank or new line between two things."""
    return re.sub(r"\n\s+", "\n", re.sub(r"(\.\d\d)\d+", r"\1", drawing))


def draw(axis, curve, entry, work, panel):
    label, lines = PANELS[panel]
    from matplotlib import ticker

    for kind, color in COLORS.items():
        for name, style in lines.items():
            # A point without figures is a gap in the line.
            xs, values = [], []
            for point in entry["points"]:
                found = [figures[name] for figures in point["works"][work.name][kind] if name in figures]
                xs.append(point["x"])
                values.append(found or [float("nan")])
            axis.plot(
                xs, [statistics.median(found) for found in values], style, color=color, marker=".", linewidth=1.2,
                markersize=5, label=NAMES[kind] if style == "-" else None)
            axis.fill_between(
                xs, [min(found) for found in values], [max(found) for found in values], color=color, alpha=0.15,
                linewidth=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    ticks = [point["x"] for point in entry["points"]]
    axis.set_xticks(ticks, [curve.unit(x) for x in ticks])
    axis.set_xticks([], minor=True)
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}".replace(",", " ")))
    axis.yaxis.set_minor_locator(ticker.NullLocator())
    axis.set_title(f"{work.name}: {label}", fontsize=8)
    axis.set_xlabel(curve.quantity)
    axis.grid(alpha=0.3)
