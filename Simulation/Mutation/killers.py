"""What may notice a mutant: the unit tests of the modules, and the simulator. Each run is bounded in time."""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from scratch import VARIABLE

# So many times as long as without a mutant is allowed, but at least so many seconds; all of the processor's time, so that
# other work on the machine kills no mutant.
PATIENCE, SECONDS_MIN = 4, 5
# Who takes no processor time for so long, on the clock on the wall, waits for something that will not come.
IDLE_MAX = 90
# Bytes; a loop without an end may allocate as well.
MEMORY_MAX = 4 << 30
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Verdict:
    killed: bool
    how: str  # what noticed it, or what was tried in vain


def processor_time(process):
    """Seconds of user and system time so far; None when it has ended."""
    try:
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS


def ended(process):
    """Waits for the end of a process, or ends it when it does nothing any more; its status and seconds of processor time."""
    last, since, pause = 0.0, time.monotonic(), 0.02
    while process.poll() is None:
        spent = processor_time(process)
        if spent is not None and spent > last:
            last, since = spent, time.monotonic()
        elif time.monotonic() - since > IDLE_MAX:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(0.2, pause * 1.5)
    return process.returncode, last


def bounded(command, mutant, limit, extra=None):
    """Status (None: out of time), output and seconds of a command with one mutant switched on; `limit` in seconds."""
    environment = {**(extra or {}), **os.environ, VARIABLE: str(mutant), "SWIFT_BACKTRACE": "enable=no"}
    command = ["prlimit", f"--cpu={int(limit) + 1}", f"--data={MEMORY_MAX}", "--core=0", *command]
    with tempfile.TemporaryFile() as output:
        # A group of its own, to be ended as a whole; no session of its own, so that a nice value keeps its meaning.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
            process_group=0)
        status, seconds = ended(process)
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            status = None
        output.seek(0)
        text = output.read(8 << 20).decode(errors="replace")
    return status, text, seconds


class UnitTests:
    """The unit tests of one target."""

    FAILED = re.compile(r'Test (?:case )?(".*?"|\w+\(.*?\)) (?:recorded an issue|failed)')
    TOTAL = re.compile(r"Test run with (\d+) test")

    def __init__(self, scratch, target, cases):
        self.target = target
        self.command = [
            str(scratch.test_program), "--testing-library", "swift-testing", "--filter", rf"^{target}\.",
            "--no-parallel"]
        # Tests look for third-party cases at the repository's side, which is not where the copy is.
        self.cases = {"RAFT_CASES": str(cases)} if cases.is_dir() else {}

    def judge(self, mutant, limit):
        """The verdict, and the seconds that it took."""
        status, text, seconds = bounded(self.command, mutant, limit, self.cases)
        if status is None:
            return Verdict(True, f"{self.target}: out of time"), seconds
        if status < 0:
            return Verdict(True, f"{self.target}: trap"), seconds
        if status == 0:
            total = self.TOTAL.search(text)
            return Verdict(False, f"{total.group(1) if total else 0} tests"), seconds
        failed = self.FAILED.search(text)
        reason = failed.group(1).strip('"') if failed else f"exit status {status}"
        return Verdict(True, f"{self.target}: {reason}"), seconds


class Simulator:
    """A number of the simulator's seeds."""

    VIOLATED = re.compile(r"^seed (\d+): VIOLATED ([A-Z]\d+|[^:]+)", re.MULTILINE)
    HASH = re.compile(r"^seed \d+: hash .*$", re.MULTILINE)

    def __init__(self, scratch, seeds, members):
        self.command = [
            str(scratch.program("simulate")), "run", "--seeds", seeds, "--members", str(members), "--brief"]
        self.hashes = None  # without a mutant

    def judge(self, mutant, limit):
        """The verdict, and the seconds that it took."""
        status, text, seconds = bounded(self.command, mutant, limit)
        hashes = self.HASH.findall(text)
        if mutant == 0:
            self.hashes = hashes
        if status is None:
            return Verdict(True, f"out of time (seed {len(hashes) + 1} of the range)"), seconds
        if status == 0:
            return Verdict(False, "held, same hashes" if hashes == self.hashes else "held, other hashes"), seconds
        violated = self.VIOLATED.search(text)
        if violated:
            return Verdict(True, f"{violated.group(2)} (seed {violated.group(1)})"), seconds
        return Verdict(True, f"{'trap' if status < 0 else f'exit status {status}'} (run {len(hashes) + 1})"), seconds


class Bounded:
    """A killer that was seen to be content without a mutant, and with it the time that this takes."""

    def __init__(self, killer, name):
        verdict, self.seconds = killer.judge(0, 1_800)
        if verdict.killed or verdict.how == "0 tests":
            raise RuntimeError(f"{name} without a mutant: {verdict.how}")
        self.killer = killer
        self.limit = max(SECONDS_MIN, PATIENCE * self.seconds)

    def judge(self, mutant):
        return self.killer.judge(mutant, self.limit)[0]


class Each:
    """Several killers, of which the first that notices ends the search."""

    def __init__(self, killers):
        self.killers = killers

    def judge(self, mutant):
        verdict = Verdict(False, "no killer")
        for killer in self.killers:
            verdict = killer.judge(mutant)
            if verdict.killed:
                break
        return verdict
