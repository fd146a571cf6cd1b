"""Counts the instructions of one operation of a benchmark."""

import concurrent.futures
import os
import re
import subprocess
import tempfile


class Failure(Exception):
    pass


# A run takes one or two seconds; this one hangs.
SECONDS_MAX = 120

# The C library chooses how it copies by the processor and its caches, which moves figures by up to 12 %. Without what is
# named here it takes what every processor has.
LIBRARY = (
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-RTM,-BMI2,-MOVBE,"
    "-SSE4_2,-SSE4_1,-SSSE3"
    ":glibc.cpu.x86_non_temporal_threshold=1048576")


class Benchmark:
    def __init__(self, name, iterations, about):
        self.name, self.iterations, self.about = name, iterations, about


class Counter:
    def __init__(self, program, profiles=""):
        """`profiles`: a folder that keeps callgrind's files, or nothing."""
        self.program, self.profiles = program, profiles

    def benchmarks(self):
        listed = subprocess.run([self.program, "list"], capture_output=True, text=True)
        if listed.returncode != 0:
            raise Failure(f"{self.program} list: {listed.stderr.strip()}")
        rows = [line.split("\t") for line in listed.stdout.splitlines()]
        return [Benchmark(name, int(iterations), about) for name, iterations, about in rows]

    def count(self, benchmark):
        """Instructions of one operation.

        The difference between a run and one of twice as many operations is free of start and preparation, which are
        the same in both.
        """
        once, once_sum = self._run(benchmark.name, [])
        twice, twice_sum = self._run(benchmark.name, ["--doubled"])
        if twice_sum != 2 * once_sum:
            raise Failure(f"{benchmark.name}: came to {once_sum}, and doubled to {twice_sum}")
        if twice <= once:
            raise Failure(f"{benchmark.name}: {once} instructions, and doubled {twice}")
        return (twice - once) / benchmark.iterations

    def _run(self, name, flags):
        """Instructions of a whole run, and what its operations came to."""
        profile = os.path.join(self.profiles, f"{name}.callgrind") if self.profiles else os.devnull
        with tempfile.TemporaryDirectory(prefix="ganglion-micro-", dir=memory_folder()) as folder:
            command = [
                "valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", self.program, "run", name,
                "--directory", folder, *flags]
            try:
                run = subprocess.run(
                    command, capture_output=True, text=True, env=environment(), timeout=SECONDS_MAX)
            except subprocess.TimeoutExpired:
                raise Failure(f"{name}: not done after {SECONDS_MAX} s")
        collected = re.search(r"Collected : (\d+)", run.stderr)
        if run.returncode != 0 or not collected:
            raise Failure(f"{name} ended with exit status {run.returncode}:\n{run.stderr.strip()}")
        return int(collected.group(1)), int(run.stdout)


def environment():
    """The same for everybody: even the length of the variables moves figures, by up to 0.4 %."""
    return {"PATH": "/usr/bin:/bin", "SWIFT_DETERMINISTIC_HASHING": "1", "GLIBC_TUNABLES": LIBRARY}


def memory_folder():
    """What is written is not measured, so no disk has to be waited for. None: where temporary files go."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


def count_all(counter, benchmarks, jobs):
    """Instructions of an operation by name; the lists of failures are as long as what failed."""
    counts, failures = {}, []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        pending = [(benchmark.name, pool.submit(counter.count, benchmark)) for benchmark in benchmarks]
        for name, outcome in pending:
            try:
                counts[name] = outcome.result()
            except Failure as failure:
                failures.append(str(failure))
    return counts, failures
