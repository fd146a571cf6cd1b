"""The campaign's tables in Markdown."""

import scratch
from campaign import answer

HEAD = ["| mutant | where | kind | change | unit tests | simulator |", "|---|---|---|---|---|---|"]


def cell(text, width=70):
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= width else text[:width - 3] + "..."


def share(part, total):
    return f"{part} of {total}" + (f" ({100 * part // total} %)" if total else "")


def row(number, site, verdicts):
    unit, simulated = verdicts
    return (f"| {number} | {site.path}:{site.line} | {site.kind} | `{cell(site.before)}` -> `{cell(site.after)}` "
            f"| {cell(answer(unit))} | {cell(answer(simulated))} |")


def killed(verdicts, numbers):
    """How many the unit tests noticed, the simulator, and any of the two."""
    pairs = [verdicts[number] for number in numbers]
    return (sum(unit.killed for unit, _ in pairs), sum(simulated.killed for _, simulated in pairs),
            sum(unit.killed or simulated.killed for unit, simulated in pairs))


def text(copy, sample, numbers, verdicts, options):
    """The report on those of `numbers` that are judged."""
    judged = [number for number in numbers if number in verdicts]
    lines = [
        "# Generic mutants", "",
        f"`bin/mutate --seed {options.seed} --count {options.count} --modules {','.join(options.modules)} "
        f"--seeds {options.seeds} --members {options.members}`: {len(judged)} judged of {len(numbers)} drawn from "
        f"{sample.total} possible mutants.", "",
        "| module | mutants | unit tests | simulator | either |", "|---|---|---|---|---|",
    ]
    for group, of in ((options.modules, sample.module_of.get), (["dropped", "negated", "operator", "off by one"],
                      lambda number: copy.mutants[number].kind), (["all"], lambda number: "all")):
        for name in group:
            mine = [number for number in judged if of(number) == name]
            counts = " | ".join(share(count, len(mine)) for count in killed(verdicts, mine))
            lines.append(f"| {name} | {len(mine)} | {counts} |")
    survivors = [number for number in judged if not any(verdict.killed for verdict in verdicts[number])]
    for title, some in ((f"Survivors: {len(survivors)}", survivors), ("All", judged)):
        lines += ["", f"## {title}", "", *HEAD, *(row(number, copy.mutants[number], verdicts[number]) for number in some)]
    lines += ["", f"One again: `{scratch.VARIABLE}=17 .build-mutants/generic/build/release/simulate run "
              f"--seeds {options.seeds} --members {options.members}`", ""]
    return "\n".join(lines)
