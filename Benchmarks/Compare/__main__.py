"""Ganglion beside etcd under the same load: see bin/bench."""

import argparse
import os
import sys
import tempfile
import time

import report
import setting
from cluster import Cluster, Failure, end_on_signals
from rows import Tools, rows


def arguments():
    parser = argparse.ArgumentParser(prog="bin/bench", description=(
        "Starts three members of Debian's etcd and three of ours on loopback, with synchronous disks and fresh "
        "directories, puts the same load on both in turn, and writes a table of ratios. The two sides take turns row by "
        "row; what is reported is the median of the rounds."))
    parser.add_argument("--rounds", type=int, default=5, help="fresh members each round (default 5)")
    parser.add_argument("--seconds", type=float, default=5, help="of load for each side and row (default 5)")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--out", default="", help="folder for report.md and ratios.svg (default: print only)")
    parser.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--commit", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.rounds < 1 or chosen.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    return chosen


def measure(options, chosen):
    results = {row.name: [] for row in chosen}
    memory = []
    for number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory(prefix="ganglion-bench-") as folder, \
                Cluster("etcd", "etcd", "127.0.91", folder) as etcd, \
                Cluster("ganglion", f"{options.programs}/registryd", "127.0.92", folder) as ganglion:
            for row in chosen:
                # Who begins alternates, so that nobody always gets the warmer machine.
                sides = (etcd, ganglion) if number % 2 else (ganglion, etcd)
                outcomes = {}
                for side in sides:
                    outcomes[side.kind] = row.run(side)
                    time.sleep(0.3)
                theirs, ours = outcomes["etcd"], outcomes["ganglion"]
                results[row.name].append((theirs, ours))
                print(
                    f"round {number}: {row.name}: etcd {describe(theirs)}; Ganglion {describe(ours)}; "
                    f"{row.figure} × {getattr(ours, row.figure) / getattr(theirs, row.figure):.2f}", flush=True)
            memory.append((etcd.resident_mib(), ganglion.resident_mib()))
    return results, memory


def describe(outcome):
    return (
        f"{outcome.rate:.0f}/s p50 {outcome.p50:.2f} p99 {outcome.p99:.2f} ms, {outcome.processor:.1f} µs CPU")


def main():
    end_on_signals()
    options = arguments()
    tools = Tools(f"{options.programs}/etcdload", "h2load", options.seconds)
    chosen = [row for row in rows(tools) if options.only in row.name]
    if not chosen:
        sys.exit(f"no row's name contains '{options.only}'")
    try:
        results, memory = measure(options, chosen)
    except Failure as failure:
        sys.exit(f"** ERROR: {failure}")
    text = (
        f"{setting.machine()}; {setting.etcd()}; three members each; {options.rounds} rounds of {options.seconds:g} s; "
        f"median (lowest–highest)" + (f"; Ganglion at {options.commit}" if options.commit else "") + ".\n\n"
        + report.table(chosen, results, memory) + "\n")
    print(text)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        with open(os.path.join(options.out, "report.md"), "w") as file:
            file.write(text)
        report.plot(chosen, results, os.path.join(options.out, "ratios.svg"))


main()
