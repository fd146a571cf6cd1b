"""What may notice a mutant: a module's unit tests, and the simulator. Each run is bounded in time."""

import dataclasses
import os
import re
import resource
import signal
import subprocess
import tempfile

from scratch import VARIABLE

# So many times as long as without a mutant is allowed, but at least so many seconds of processor time; and so many times
# that on the clock on the wall, for those that wait instead of running. Other work on the machine kills no mutant.
PATIENCE, SECONDS_MIN, WAITING = 8, 20, 6


@dataclasses.dataclass
class Verdict:
    killed: bool
    how: str  # what noticed it


def bounded(command, mutant, limit, extra=None):
    """Status (None: out of time) and output of a command with one mutant switched on; `limit` in seconds."""
    environment = {**(extra or {}), **os.environ, VARIABLE: str(mutant)}
    command = ["prlimit", f"--cpu={int(limit)}", "--core=0", *command]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
            start_new_session=True)
        try:
            status = process.wait(limit * WAITING)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = None
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            status = None
        output.seek(0)
        text = output.read(8 << 20).decode(errors="replace")
    return status, text


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
        status, text = bounded(self.command, mutant, limit, self.cases)
        if status is None:
            return Verdict(True, "out of time")
        if status < 0:
            return Verdict(True, "trap")
        if status == 0:
            total = self.TOTAL.search(text)
            return Verdict(False, f"{total.group(1) if total else 0} tests")
        failed = self.FAILED.search(text)
        return Verdict(True, failed.group(1).strip('"') if failed else f"exit status {status}")


class Simulator:
    """A number of the simulator's seeds."""

    VIOLATED = re.compile(r"VIOLATED ([A-Z]\d+|[^:]+)")

    def __init__(self, scratch, seeds):
        self.command = [str(scratch.program("simulate")), "run", "--seeds", seeds, "--brief"]

    def judge(self, mutant, limit):
        status, text = bounded(self.command, mutant, limit)
        if status is None:
            return Verdict(True, "out of time")
        if status == 0:
            return Verdict(False, "held")
        violated = self.VIOLATED.search(text)
        if violated:
            return Verdict(True, violated.group(1))
        return Verdict(True, "trap" if status < 0 else f"exit status {status}")


class Bounded:
    """A killer that was seen to be content without a mutant, and with it the time that this takes."""

    def __init__(self, killer, name):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        verdict = killer.judge(0, 1_800)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if verdict.killed or verdict.how == "0 tests":
            raise RuntimeError(f"{name} without a mutant: {verdict.how}")
        self.killer = killer
        self.seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.limit = max(SECONDS_MIN, PATIENCE * self.seconds)

    def judge(self, mutant):
        return self.killer.judge(mutant, self.limit)
