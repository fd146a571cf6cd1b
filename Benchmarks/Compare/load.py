"""Runs the generators: h2load for unary calls at full windows, ours for everything else."""

import json
import os
import subprocess
import tempfile

from cluster import Failure


class Outcome:
    """What one side did in one row of one round."""

    def __init__(self, rate, p50, p99, operations, processor_seconds):
        self.rate = rate
        """Operations a second."""
        self.p50, self.p99 = p50, p99
        """Milliseconds."""
        self.processor = processor_seconds * 1e6 / max(operations, 1)
        """Microseconds of all members together for each operation."""


def etcdload(program, cluster, arguments, endpoints=None, is_write=False, is_complete=False):
    """`is_complete`: less than what was offered is a failure."""
    before, revision = cluster.processor_seconds(), cluster.revision()
    words = [program, *arguments, "--endpoints", endpoints or cluster.endpoints]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300)
    spent = cluster.processor_seconds() - before
    if ended.returncode != 0:
        raise Failure(f"{' '.join(words)}: {ended.stderr.strip()}")
    result = json.loads(ended.stdout)
    if result["errors"] or is_complete and result["done"] < result["expected"] * 0.99:
        raise Failure(f"{cluster.kind}: {' '.join(arguments)}: {ended.stdout.strip()}")
    if is_write:
        demand_revisions(cluster, revision, result["operations"])
    return Outcome(
        result["done"] / result["seconds"], result["p50"] / 1000, result["p99"] / 1000, result["operations"], spent)


def demand_revisions(cluster, before, count):
    """A call that failed, or was done twice, must not look fast."""
    made = cluster.revision() - before
    if made != count:
        raise Failure(f"{cluster.kind}: {count} puts made {made} revisions")


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content) if content else b""
    return varint(number << 3 | 2) + varint(len(content)) + content


def framed(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


KEY = b"bench/0000000000"
BODIES = {
    "put": ("/etcdserverpb.KV/Put", framed(field(1, KEY) + field(2, b"v" * 256))),
    "range": ("/etcdserverpb.KV/Range", framed(field(1, KEY))),
    "serializable range": ("/etcdserverpb.KV/Range", framed(field(1, KEY) + field(7, 1))),
}


def h2load(program, cluster, call, requests, connections=9, window=32):
    """One generator for each member, all at once. A put comes first, so that ranges find something."""
    path, body = BODIES[call]
    with tempfile.TemporaryDirectory() as scratch:
        message = os.path.join(scratch, "message")
        with open(message, "wb") as file:
            file.write(body)
        share = requests // len(cluster.members)
        clients = connections // len(cluster.members)
        before, revision = cluster.processor_seconds(), cluster.revision()
        running = [
            subprocess.Popen(
                [program, f"--requests={share}", f"--clients={clients}", f"--max-concurrent-streams={window}",
                 "--threads=1", f"--data={message}", "--header=content-type: application/grpc",
                 "--header=te: trailers", f"--log-file={scratch}/{number}", f"http://{member.endpoint}{path}"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for number, member in enumerate(cluster.members)
        ]
        texts = [process.communicate(timeout=300)[0] for process in running]
        spent = cluster.processor_seconds() - before
        for process, text in zip(running, texts):
            if process.returncode != 0 or f" {share} succeeded" not in text:
                raise Failure(f"{cluster.kind}: h2load {path}: {text}")
        done = share * len(running)
        if call == "put":
            demand_revisions(cluster, revision, done)
        begun, ended, times = read_logs(scratch, len(running))
        return Outcome(
            done / (ended - begun), times[len(times) // 2] / 1000, times[len(times) * 99 // 100] / 1000, done, spent)


def read_logs(folder, count):
    """First start and last end in seconds, and all times in microseconds, ascending."""
    begun, ended, times = float("inf"), 0.0, []
    for number in range(count):
        with open(f"{folder}/{number}") as lines:
            for line in lines:
                # Microseconds since the epoch, HTTP status, microseconds.
                start, _, took = line.split()
                start, took = int(start) / 1e6, int(took)
                begun, ended = min(begun, start), max(ended, start + took / 1e6)
                times.append(took)
    return begun, ended, sorted(times)
