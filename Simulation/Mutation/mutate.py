"""Generic mutants of the pure modules: who notices a negated condition, an off-by-one, a dropped statement?

All mutants are compiled at once into a copy of the sources; a number in the environment switches one of them on.
"""

import argparse
import pathlib
import random
import sys
import time

import campaign
import report
import scratch
import sites

MODULES = ["Primitives", "RegistryModel", "Raft", "KVStore", "Watch", "Replica", "AgentCore"]
# So many more than asked for are compiled in: some do not compile.
SPARE = 1.2


def log(text):
    print(f"** {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="bin/mutate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    parser.add_argument("--count", type=int, default=200, help="how many mutants (default 200)")
    parser.add_argument("--modules", default=",".join(MODULES), help="of " + ",".join(MODULES))
    parser.add_argument("--seeds", default="1...10", help="the simulator's (default 1...10)")
    parser.add_argument("--members", type=int, default=3, help="of the simulator's clusters (default 3)")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at a time (default 2)")
    parser.add_argument("--only", help="judge these mutants of the sample (17,23), even if they are judged already")
    parser.add_argument("--output", help="the report (default .build-mutants/generic/report.md)")
    parser.add_argument("--list", action="store_true", help="only show the sample")
    options = parser.parse_args()
    options.modules = options.modules.split(",")
    try:
        options.only = [int(number) for number in options.only.split(",")] if options.only else []
    except ValueError:
        parser.error(f"--only takes numbers with commas between them, not {options.only}")
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


def compile_sample(copy, sample, count, verdicts):
    """Compiles until `count` mutants are in; returns their numbers in the order of the sample."""
    sample.take(copy, int(count * SPARE) + 2)
    while True:
        start = time.monotonic()
        for number in verdicts.rejected & copy.mutants.keys():
            del copy.mutants[number]
        verdicts.reject(copy.build(log))
        log(f"built with {len(copy.mutants)} mutants in {time.monotonic() - start:.0f} s")
        missing = count - len(copy.mutants)
        if missing <= 0 or not sample.waiting:
            return sorted(copy.mutants)[:count]
        sample.take(copy, missing + 2)


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
    verdicts = campaign.Verdicts(folder, copy, options)
    try:
        numbers = compile_sample(copy, sample, options.count, verdicts)
        strangers = [number for number in options.only if number not in numbers]
        if strangers:
            raise RuntimeError(f"no mutant of this sample: {strangers[0]}")
        cases = root.parent / "shared" / "cases" / "raft"
        campaign.measure(copy, sample, options.only or numbers, verdicts, options, cases, log)
    except (scratch.BuildFailed, RuntimeError) as error:
        log(f"ERROR: {error}")
        sys.exit(1)
    text = report.text(copy, sample, numbers, verdicts.by_number, options)
    output.write_text(text)
    print(text.split("\n## All")[0])
    log(f"all of them: {output}; verdicts: {verdicts.path}")


if __name__ == "__main__":
    main()
