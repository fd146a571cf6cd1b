"""What a run says, as Markdown and as plots."""

import statistics


def spread(values):
    """`median (lowest–highest)`"""
    return f"{text(statistics.median(values))} ({text(min(values))}–{text(max(values))})"


def text(value):
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def core_share(pairs):
    """Of one core, by all of our members together, in the round in the middle."""
    return statistics.median(ours.processor * ours.rate / 1e6 for _, ours in pairs)


def judged(row, ratios, processor, pairs):
    """Whether the goal is met: ✔, ✘, or nothing where there is none."""
    limit, processor_limit = row.goal
    checks = []
    if limit is not None:
        ratio = statistics.median(ratios)
        checks.append(ratio >= limit if row.figure == "rate" else ratio <= limit)
    if processor_limit is not None:
        checks.append(statistics.median(processor) <= processor_limit)
    if row.core_share is not None:
        checks.append(core_share(pairs) <= row.core_share)
    if not checks:
        return ""
    return "✔" if all(checks) else "✘"


def goal(row, pairs):
    limit, processor_limit = row.goal
    said = []
    if limit is not None:
        said.append(f"{'≥' if row.figure == 'rate' else '≤'} {limit:.3g} ×")
    if processor_limit is not None:
        said.append(f"CPU ≤ {processor_limit:.2g} ×")
    if row.core_share is not None:
        said.append(f"CPU ≤ {row.core_share:.0%} of a core (here {core_share(pairs):.0%})")
    return ", ".join(said) or "–"


def table(rows, results, memory):
    """`results[row name]`: a list of (theirs, ours) for each round."""
    lines = [
        "| work | figure | etcd | Ganglion | ratio | CPU per operation, µs: etcd | Ganglion | ratio | goal | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        pairs = results[row.name]
        theirs = [getattr(pair[0], row.figure) for pair in pairs]
        ours = [getattr(pair[1], row.figure) for pair in pairs]
        ratios = [mine / other for mine, other in zip(ours, theirs)]
        processor = [pair[1].processor / max(pair[0].processor, 1e-9) for pair in pairs]
        unit = "per second" if row.figure == "rate" else f"{row.figure}, ms"
        lines.append(
            f"| {row.name} | {unit} | {spread(theirs)} | {spread(ours)} | **{spread(ratios)}** "
            f"| {text(statistics.median(pair[0].processor for pair in pairs))} "
            f"| {text(statistics.median(pair[1].processor for pair in pairs))} | {spread(processor)} "
            f"| {goal(row, pairs)} | {judged(row, ratios, processor, pairs)} |")
    theirs, ours = [pair[0] for pair in memory], [pair[1] for pair in memory]
    ratios = [mine / other for mine, other in zip(ours, theirs)]
    mark = "✔" if statistics.median(ratios) <= 0.5 else "✘"
    lines.append(
        f"| largest member after these runs | RSS, MiB | {spread(theirs)} | {spread(ours)} | **{spread(ratios)}** "
        f"| – | – | – | ≤ 0.5 × | {mark} |")
    return "\n".join(lines)


def plot(rows, results, path):
    """Ratios of each round, one line for each row; drawn only where matplotlib is installed."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(rows) + 1.2))
    for place, row in enumerate(reversed(rows)):
        pairs = results[row.name]
        better = [
            getattr(mine, row.figure) / getattr(other, row.figure)
            if row.figure == "rate" else getattr(other, row.figure) / getattr(mine, row.figure)
            for other, mine in pairs
        ]
        axes.barh(place, statistics.median(better), color="#7fa8c9", height=0.6)
        axes.plot(better, [place] * len(better), "k.", markersize=4)
        limit = row.goal[0]
        if limit is not None:
            axes.plot([limit if row.figure == "rate" else 1 / limit] * 2, [place - 0.4, place + 0.4], color="#b03030")
    axes.set_yticks(range(len(rows)), [f"{row.name} ({row.figure})" for row in reversed(rows)])
    axes.set_xscale("log")
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("how many times better than etcd: median of the rounds, each round a dot, the goal in red")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
