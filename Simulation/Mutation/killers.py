"""What may notice a mutant: a module's unit tests, and the simulator. Each run is bounded in time."""

import dataclasses
import os
import re
import signal
import subprocess
import tempfile
import time

from scratch import VARIABLE

# In a run without any mutant, so many times as long are allowed, but at least so many seconds.
PATIENCE, SECONDS_MIN = 8, 20


@dataclasses.dataclass
class Verdict:
    killed: bool
    how: str  # what noticed it
    seconds: float


def bounded(command, mutant, limit, extra=None):
    """Status (None: out of time), output and seconds of a command with one mutant switched on."""
    environment = {**(extra or {}), **os.environ, VARIABLE: str(mutant)}
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
            start_new_session=True)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = None
        output.seek(0)
        text = output.read(8 << 20).decode(errors="replace")
    return status, text, time.monotonic() - start


class UnitTests:
    """The unit tests of one module."""

    FAILED = re.compile(r'Test (?:case )?(".*?"|\w+\(.*?\)) (?:recorded an issue|failed)')
    TOTAL = re.compile(r"Test run with (\d+) test")

    def __init__(self, scratch, target, cases):
        self.command = [
            str(scratch.tests), "--testing-library", "swift-testing", "--filter", rf"^{target}\.", "--no-parallel"]
        # Tests look for third-party cases at the repository's side, which is not where the copy is.
        self.cases = {"RAFT_CASES": str(cases)} if cases.is_dir() else {}

    def judge(self, mutant, limit):
        status, text, seconds = bounded(self.command, mutant, limit, self.cases)
        if status is None:
            return Verdict(True, "out of time", seconds)
        if status < 0:
            return Verdict(True, "trap", seconds)
        if status == 0:
            total = self.TOTAL.search(text)
            return Verdict(False, f"{total.group(1) if total else 0} tests", seconds)
        failed = self.FAILED.search(text)
        return Verdict(True, failed.group(1).strip('"') if failed else f"exit status {status}", seconds)


class Simulator:
    """A number of the simulator's seeds."""

    VIOLATED = re.compile(r"VIOLATED ([A-Z]\d+|[^:]+)")

    def __init__(self, scratch, seeds):
        self.command = [str(scratch.program("simulate")), "run", "--seeds", seeds, "--brief"]

    def judge(self, mutant, limit):
        status, text, seconds = bounded(self.command, mutant, limit)
        if status is None:
            return Verdict(True, "out of time", seconds)
        if status == 0:
            return Verdict(False, "held", seconds)
        violated = self.VIOLATED.search(text)
        if violated:
            return Verdict(True, violated.group(1), seconds)
        return Verdict(True, "trap" if status < 0 else f"exit status {status}", seconds)


class Bounded:
    """A killer that was seen to be content without a mutant, and with it the time that this takes."""

    def __init__(self, killer, name):
        verdict = killer.judge(0, 1_800)
        if verdict.killed or verdict.how == "0 tests":
            raise RuntimeError(f"{name} without a mutant: {verdict.how}")
        self.killer = killer
        self.seconds = verdict.seconds
        self.limit = max(SECONDS_MIN, PATIENCE * verdict.seconds)

    def judge(self, mutant):
        return self.killer.judge(mutant, self.limit)
