"""How both sides scale, one quantity at a time: see bin/bench curves --help."""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import time

import curve_report
import setting
from cluster import Cluster, Failure, Refused, end_on_signals
from curve_list import CurveTools, curves

SIDES = {"etcd": "etcd", "ganglion": "Ganglion"}


def arguments():
    names = ", ".join(curve.name for curve in curves())
    parser = argparse.ArgumentParser(prog="bin/bench curves", description=(
        "Starts members of Debian's etcd and as many of ours on loopback for each curve and round, and measures both "
        f"in turn at each point. Curves: {names}. What is reported is the median of the rounds."))
    parser.add_argument("--rounds", type=int, default=2, help="fresh members each round (default 2)")
    parser.add_argument("--seconds", type=float, default=2, help="of load for each side and point (default 2)")
    parser.add_argument("--only", default="", help="curves whose name contains this")
    parser.add_argument("--at", default="", help="only these points of each curve, separated by commas")
    parser.add_argument("--full", action="store_true", help="also 10 000 000 keys: takes long, and 16 GiB of memory")
    parser.add_argument("--draw", action="store_true", help="measure nothing, write report and plots of --out again")
    parser.add_argument("--out", default="", help=(
        "folder for curves.json, curves.md and curve-*.svg (default: print only); curves that are not measured stay"))
    parser.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--commit", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    if options.draw and not options.out:
        parser.error("--draw needs --out")
    return options, chosen(options, parser)


def chosen(options, parser):
    """The curves that are measured, with their points."""
    found = [curve for curve in curves(options.full) if options.only in curve.name]
    if not found:
        parser.error(f"no curve's name contains '{options.only}'")
    if options.at:
        wanted = options.at.split(",")
        for curve in found:
            curve.points = [x for x in curve.points if str(x) in wanted]
        found = [curve for curve in found if curve.points]
        if not found:
            parser.error(f"no curve has a point among {options.at}")
    return found


class Side:
    """The members of one kind, and what is in them already."""

    def __init__(self, kind, program, prefix, size):
        self.kind, self.program, self.prefix, self.size = kind, program, prefix, size
        self.cluster = None

    def __enter__(self):
        self.keys = self.leases = 0
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ganglion-bench-"))
            # Both have 2 GiB by default, which etcd, who compacts nothing by himself, fills with large values.
            self.cluster = stack.enter_context(Cluster(
                self.kind, self.program, self.prefix, folder, self.size, ["--quota-backend-bytes", str(8 * 2**30)]))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def replace(self):
        """What was refused or took too long may still be under way."""
        self.stack.close()
        self.__enter__()

    def endpoints(self):
        """The leader's first: with few connections it matters where they go."""
        leader = self.cluster.leader()
        others = [member.endpoint for member in self.cluster.members if member is not leader]
        return ",".join([leader.endpoint, *others])


def measure(options, curve, number):
    """One round. Returns figures by x, name of the work and kind, or `missing`: why there are none."""
    tools = CurveTools(f"{options.programs}/etcdload", "h2load", options.seconds, warmup=min(0.5, options.seconds))
    found = {}
    for size, points in itertools.groupby(curve.points, curve.size):
        with Side("etcd", "etcd", "127.0.91", size) as etcd, \
                Side("ganglion", f"{options.programs}/registryd", "127.0.92", size) as ganglion:
            # Who begins alternates, so that nobody always gets the warmer machine.
            sides = (etcd, ganglion) if number % 2 else (ganglion, etcd)
            for x in points:
                found[x] = measure_point(tools, curve, x, sides)
                for name, outcomes in found[x].items():
                    print(f"round {number}: {curve.quantity}: {curve.unit(x)}: {name}: " + "; ".join(
                        f"{SIDES[kind]} {curve_report.described(outcomes[kind])}" for kind in SIDES), flush=True)
    return found


def measure_point(tools, curve, x, sides):
    found = {work.name: {} for work in curve.works}
    unprepared = {}
    if curve.prepare:
        for side in sides:
            outcome = attempt(lambda: curve.prepare(tools, side, x), side)
            if outcome:
                unprepared[side.kind] = outcome
    for work in curve.works:
        for side in sides:
            found[work.name][side.kind] = unprepared.get(side.kind) or attempt(lambda: work.run(tools, side, x), side)
            time.sleep(0.3)
    return found


def attempt(run, side):
    try:
        return run()
    except Refused as refusal:
        side.replace()
        return {"missing": " ".join(str(refusal).split())[:300]}


def main():
    end_on_signals()
    options, measured = arguments()
    record = curve_report.read(options.out) if options.out else {}
    missing = []
    try:
        for curve in [] if options.draw else measured:
            rounds = [measure(options, curve, number) for number in range(1, options.rounds + 1)]
            about = f"{setting.machine()}; {setting.etcd()}; {options.rounds} rounds of {options.seconds:g} s" + (
                f"; Ganglion at {options.commit}" if options.commit else "")
            record[curve.name] = curve_report.entry(curve, rounds, about)
            missing += curve_report.missing(curve, record[curve.name], "ganglion")
            if options.out:
                curve_report.write(options.out, curves(full=True), record)
            else:
                print(curve_report.section(curve, record[curve.name]))
    except Failure as failure:
        sys.exit(f"** ERROR: {failure}")
    if options.draw:
        curve_report.write(options.out, curves(full=True), record)
    if missing:
        sys.exit("** ERROR: Ganglion could not do these points:\n" + "\n".join(missing))


main()
