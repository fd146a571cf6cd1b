"""Generic mutants of the pure modules: who notices a negated condition, an off-by-one, a dropped statement?

All mutants are compiled at once into a copy of the sources; a number in the environment switches one of them on.
"""

import argparse
import concurrent.futures
import pathlib
import random
import sys
import time

import killers
import scratch
import sites

MODULES = ["Raft", "KVStore", "Watch", "Replica", "AgentCore"]
# So many more than asked for are compiled in: some do not compile.
SPARE = 1.2


def log(text):
    print(f"** {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="bin/mutate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    parser.add_argument("--count", type=int, default=200, help="how many mutants (default 200)")
    parser.add_argument("--modules", default=",".join(MODULES), help="of " + ",".join(MODULES))
    parser.add_argument("--seeds", default="1...30", help="the simulator's (default 1...30)")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at a time (default 2)")
    parser.add_argument("--output", help="the report (default .build-mutants/generic/report.md)")
    parser.add_argument("--list", action="store_true", help="only show the sample")
    options = parser.parse_args()
    options.modules = options.modules.split(",")
    for module in options.modules:
        if module not in MODULES:
            parser.error(f"no such module: {module}")
    if options.count < 1 or options.jobs < 1:
        parser.error("--count and --jobs are at least 1")
    return options


class Sample:
    """All sites of the modules in a drawn order, one a line."""

    def __init__(self, copy, seed):
        found = []
        for module in copy.modules:
            for path in copy.sources[module]:
                found += [(module, site) for site in sites.file_sites(path, copy.originals[path])]
        self.total = len(found)
        random.Random(seed).shuffle(found)
        self.waiting = []
        taken = set()
        for module, site in found:
            if (site.path, site.line) not in taken:
                taken.add((site.path, site.line))
                self.waiting.append((module, site))
        self.waiting.reverse()
        self.module_of = {}

    def take(self, copy, count):
        """Puts the next `count` into the copy."""
        for _ in range(min(count, len(self.waiting))):
            module, site = self.waiting.pop()
            number = len(self.module_of) + 1
            self.module_of[number] = module
            copy.mutants[number] = site


def compile_sample(copy, sample, count):
    """Compiles until `count` mutants are in; returns their numbers in the order of the sample."""
    sample.take(copy, int(count * SPARE) + 2)
    while True:
        start = time.monotonic()
        copy.build(log)
        log(f"built with {len(copy.mutants)} mutants in {time.monotonic() - start:.0f} s")
        missing = count - len(copy.mutants)
        if missing <= 0 or not sample.waiting:
            return sorted(copy.mutants)[:count]
        sample.take(copy, missing + 2)


def measure(copy, sample, numbers, options, cases):
    """Verdicts of unit tests and simulator by number."""
    simulator = killers.Bounded(killers.Simulator(copy, options.seeds), "the simulator")
    log(f"simulator, seeds {options.seeds}: {simulator.seconds:.1f} s without a mutant")
    tests = {}
    for module in options.modules:
        tests[module] = killers.Bounded(killers.UnitTests(copy, f"{module}Tests", cases), f"{module}Tests")
        log(f"{module}Tests: {tests[module].seconds:.1f} s without a mutant")

    def judge(number):
        return number, tests[sample.module_of[number]].judge(number), simulator.judge(number)

    verdicts = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, unit, simulated in pool.map(judge, numbers):
            verdicts[number] = (unit, simulated)
            site = copy.mutants[number]
            log(f"{number} {site.path}:{site.line} {site.kind}: unit tests {answer(unit)}, simulator {answer(simulated)}")
    return verdicts


def answer(verdict):
    return verdict.how if verdict.killed else "no"


def cell(text, width=70):
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= width else text[:width - 3] + "..."


def share(part, total):
    return f"{part} of {total}" + (f" ({100 * part // total} %)" if total else "")


def report(copy, sample, numbers, verdicts, options):
    def row(number):
        site = copy.mutants[number]
        unit, simulated = verdicts[number]
        return (f"| {number} | {site.path}:{site.line} | {site.kind} | `{cell(site.before)}` -> "
                f"`{cell(site.after)}` | {cell(answer(unit))} | {cell(answer(simulated))} |")

    lines = [
        "# Generic mutants", "",
        f"`bin/mutate --seed {options.seed} --count {options.count} --modules {','.join(options.modules)} "
        f"--seeds {options.seeds}`: {len(numbers)} of {sample.total} possible mutants.", "",
        "| module | mutants | unit tests | simulator | either |", "|---|---|---|---|---|",
    ]
    for module in [*options.modules, "all"]:
        mine = [number for number in numbers if module in ("all", sample.module_of[number])]
        unit = sum(verdicts[number][0].killed for number in mine)
        simulated = sum(verdicts[number][1].killed for number in mine)
        either = sum(any(verdict.killed for verdict in verdicts[number]) for number in mine)
        lines.append(
            f"| {module} | {len(mine)} | {share(unit, len(mine))} | {share(simulated, len(mine))} "
            f"| {share(either, len(mine))} |")
    head = ["| mutant | where | kind | change | unit tests | simulator |", "|---|---|---|---|---|---|"]
    survivors = [number for number in numbers if not any(verdict.killed for verdict in verdicts[number])]
    lines += ["", f"## Survivors: {len(survivors)}", "", *head, *map(row, survivors)]
    lines += ["", "## All", "", *head, *map(row, numbers), ""]
    lines += [f"One again: `{scratch.VARIABLE}=17 .build-mutants/generic/build/release/simulate run --seeds {options.seeds}`", ""]
    return "\n".join(lines)


def main():
    options = arguments()
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = scratch.folder_of(root)
    output = pathlib.Path(options.output) if options.output else folder / "report.md"
    tests = [f"{module}Tests" for module in options.modules]
    copy = scratch.Scratch(root, folder, options.modules, tests, ["simulate"], options.jobs)
    sample = Sample(copy, options.seed)
    if options.list:
        sample.take(copy, options.count)
        for number, site in copy.mutants.items():
            print(f"{number} {site.path}:{site.line} {site.kind}: {site.before} -> {site.after}")
        return
    try:
        numbers = compile_sample(copy, sample, options.count)
        verdicts = measure(copy, sample, numbers, options, root.parent / "shared" / "cases" / "raft")
    except (scratch.BuildFailed, RuntimeError) as error:
        log(f"ERROR: {error}")
        sys.exit(1)
    text = report(copy, sample, numbers, verdicts, options)
    output.write_text(text)
    print(text.split("\n## All")[0])
    log(f"all of them: {output}")


main()
