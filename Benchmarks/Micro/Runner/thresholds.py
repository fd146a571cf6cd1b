"""What was recorded, and how what was found compares with it."""

import json

from counting import Failure

# The same program counts the same to a tenth of a percent. The rest is room for what the compiler decides otherwise
# because of a change elsewhere.
TOLERANCE = 0.05


class Thresholds:
    def __init__(self, path, machine):
        """`machine`: as `uname -m` has it; each has its own figures."""
        self.path, self.machine = path, machine
        try:
            with open(path) as file:
                self.machines = json.load(file)
        except FileNotFoundError:
            self.machines = {}
        except ValueError as error:
            raise Failure(f"{path}: {error}")
        try:
            own = self.machines.get(machine, {})
            self.instructions, self.tools = own.get("instructions", {}), own.get("tools", {})
            strange = [name for name, figure in self.instructions.items() if type(figure) is not int or figure < 1]
        except AttributeError:
            raise Failure(f"{path}: not figures by machine, as bin/micro --record writes them")
        if strange:
            raise Failure(f"{path}: {', '.join(strange)}: not a whole number above 0")

    def record(self, counts, tools):
        figures = {name: round(count) for name, count in sorted(counts.items())}
        self.machines[self.machine] = {"instructions": figures, "tools": tools}
        with open(self.path, "w") as file:
            json.dump(self.machines, file, indent=2, sort_keys=True)
            file.write("\n")

    def other_tools(self, tools):
        """What the recorded figures belong to and is not there, in words."""
        return [
            f"{name} {tools.get(name, 'none')}, recorded with {version}"
            for name, version in sorted(self.tools.items()) if tools.get(name) != version]


def unmatched(recorded, names, path):
    """Benchmarks without a figure, and figures without a benchmark."""
    return (
        [f"{name}: not in {path}; bin/micro --record adds it" for name in names if name not in recorded]
        + [f"{name}: in {path}, but there is no such benchmark" for name in sorted(recorded) if name not in names])


def compare(recorded, counts):
    """Lines of a table, what got worse beyond the tolerance, and what got better beyond it."""
    rows, worse, better = [], [], []
    for name, count in counts.items():
        if name not in recorded:
            rows.append(f"{name:20} {count:12.0f}")
            continue
        change = count / recorded[name] - 1
        rows.append(f"{name:20} {count:12.0f} {recorded[name]:12} {change:+8.1%}")
        text = f"{name}: {count:.0f} instructions an operation, recorded {recorded[name]}: {change:+.1%}"
        if change > TOLERANCE:
            worse.append(f"{text}, allowed {TOLERANCE:+.0%}")
        elif change < -TOLERANCE:
            better.append(text)
    return rows, worse, better
