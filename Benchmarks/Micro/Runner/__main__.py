"""Instructions of the server's small pieces, compared with what was recorded: see bin/micro."""

import argparse
import os
import platform
import re
import subprocess
import sys

from counting import Counter, Failure, count_all
from thresholds import TOLERANCE, Thresholds, compare, unmatched

RECORD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "thresholds.json")
SHOWN = "Benchmarks/Micro/thresholds.json"


def arguments():
    parser = argparse.ArgumentParser(prog="bin/micro", description=(
        "Counts the instructions that small pieces of the server take, with valgrind, and compares them with "
        f"{SHOWN}. Ends with 1 when one takes over {TOLERANCE:.0%} more than recorded, did not do its work, or is not "
        "in the file."))
    parser.add_argument("--only", default="", help="benchmarks whose name contains this")
    parser.add_argument("--record", action="store_true", help=f"write what was found into {SHOWN}")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help=(
        "processes at once (default: one for each processor; the count is the same)"))
    parser.add_argument("--profiles", default="", help="folder to keep callgrind's files in, for callgrind_annotate")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.jobs < 1:
        parser.error("--jobs must be above 0")
    if chosen.record and chosen.only:
        parser.error("--record writes all figures or none: not with --only")
    return chosen


def tools():
    """What the figures depend on beside the sources."""
    def said(command, pattern):
        found = re.search(pattern, subprocess.run(command, capture_output=True, text=True).stdout)
        return found.group(1) if found else "of unknown version"
    libraries = {name: said(["pkg-config", "--modversion", name], r"(\S+)") for name in (
        "sqlite3", "liblz4", "libnghttp2")}
    return libraries | {
        "swift": said(["swift", "--version"], r"Swift version (\S+)"),
        "valgrind": said(["valgrind", "--version"], r"valgrind-(\S+)"),
        "glibc": said(["getconf", "GNU_LIBC_VERSION"], r"glibc (\S+)")}


def verdict(options, thresholds, benchmarks, counts, failures):
    """Prints everything; whether all is well."""
    rows, worse, better = compare(thresholds.instructions, counts)
    print(f"{'benchmark':20} {'instructions':>12} {'recorded':>12}")
    print("\n".join(rows), flush=True)
    chosen = [name for name in thresholds.instructions if options.only in name]
    failures = failures + unmatched(chosen, [one.name for one in benchmarks], SHOWN)
    for text in better:
        complain(f"better: {text}; bin/micro --record keeps it so")
    for text in failures + worse:
        complain(f"FAILED: {text}")
    if failures or worse:
        for text in thresholds.other_tools(tools()):
            complain(f"not what the figures belong to: {text}")
        return False
    return True


def complain(text):
    print(f"** {text}", file=sys.stderr)


def main():
    options = arguments()
    try:
        if options.profiles:
            os.makedirs(options.profiles, exist_ok=True)
        counter = Counter(options.program, os.path.abspath(options.profiles) if options.profiles else "")
        thresholds = Thresholds(RECORD, platform.machine())
        benchmarks = [one for one in counter.benchmarks() if options.only in one.name]
        if not benchmarks:
            raise Failure(f"no benchmark's name contains '{options.only}'")
        counts, failures = count_all(counter, benchmarks, options.jobs)
        if options.record:
            if failures:
                raise Failure("nothing is recorded: " + "\n".join(failures))
            thresholds.record(counts, tools())
            thresholds = Thresholds(RECORD, platform.machine())
        is_well = verdict(options, thresholds, benchmarks, counts, failures)
    except (Failure, OSError) as failure:
        sys.exit(f"** ERROR: {failure}")
    sys.exit(0 if is_well else 1)


main()
