"""Judges mutants one by one and keeps the verdicts in a file, so that a campaign can be stopped and taken up again."""

import concurrent.futures
import hashlib
import json

import killers


class Verdicts:
    """The verdicts of unit tests and simulator by mutant, one line of JSON each, in a file of this sample's own."""

    def __init__(self, folder, copy, options):
        digest = hashlib.sha256()
        for part in (options.seed, options.count, options.modules, options.seeds, options.members):
            digest.update(repr(part).encode() + b"\0")
        for path, text in sorted(copy.originals.items()):
            digest.update(path.encode() + b"\0" + text.encode() + b"\0")
        self.path = folder / f"verdicts-{digest.hexdigest()[:12]}.jsonl"
        self.by_number = {}
        # What does not compile; to find that out again takes longest.
        self.rejected = set()
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                entry = json.loads(line)
                if "rejected" in entry:
                    self.rejected.update(entry["rejected"])
                    continue
                self.by_number[entry["mutant"]] = tuple(
                    killers.Verdict(**entry[name]) for name in ("tests", "simulator"))

    def add(self, number, unit, simulated):
        self.by_number[number] = (unit, simulated)
        self.write({"mutant": number, "tests": vars(unit), "simulator": vars(simulated)})

    def reject(self, numbers):
        self.rejected.update(numbers)
        if numbers:
            self.write({"rejected": numbers})

    def write(self, entry):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def answer(verdict):
    return verdict.how if verdict.killed else f"no ({verdict.how})"


def prepared(copy, options, modules, cases, log):
    """Unit tests by module, and the simulator; every one was content without a mutant."""
    simulator = killers.Bounded(killers.Simulator(copy, options.seeds, options.members), "the simulator")
    log(f"simulator, seeds {options.seeds}: {simulator.seconds:.1f} s without a mutant")
    targets = {}
    for target in [target for module in modules for target in copy.tests_of[module]]:
        if target not in targets:
            targets[target] = killers.Bounded(killers.UnitTests(copy, target, cases), target)
            log(f"{target}: {targets[target].seconds:.1f} s without a mutant")
    tests = {module: killers.Each([targets[target] for target in copy.tests_of[module]]) for module in modules}
    return tests, simulator


def measure(copy, sample, numbers, verdicts, options, cases, log):
    """Completes `verdicts` for `numbers`."""
    missing = [number for number in numbers if options.only or number not in verdicts.by_number]
    log(f"{len(numbers) - len(missing)} mutants are judged already, {len(missing)} are not")
    if not missing:
        return
    modules = [module for module in options.modules if any(sample.module_of[number] == module for number in missing)]
    tests, simulator = prepared(copy, options, modules, cases, log)

    def judge(number):
        return number, tests[sample.module_of[number]].judge(number), simulator.judge(number)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, unit, simulated in pool.map(judge, missing):
            verdicts.add(number, unit, simulated)
            site = copy.mutants[number]
            log(f"{number} {site.path}:{site.line} {site.kind}: unit tests {answer(unit)}, simulator {answer(simulated)}")
