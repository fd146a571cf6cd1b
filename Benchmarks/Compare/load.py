"""Runs the generators: h2load for unary calls at full windows, ours for everything else."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

from cluster import Failure, Refused


SECONDS_MAX = 300


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
    words = [program, *arguments, "--wait", "--endpoints", endpoints or cluster.endpoints]
    with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        timer = threading.Timer(SECONDS_MAX, process.kill)
        timer.start()
        try:
            # Connections, watches and leases are there then: they are not what processor time is measured for.
            process.stdout.readline()
            revision = cluster.revision()
            before = cluster.processor_seconds()
            output, errors = process.communicate("\n")
            spent = cluster.processor_seconds() - before
        finally:
            timer.cancel()
            process.kill()
    if process.returncode == -signal.SIGKILL:
        raise Refused(f"{cluster.kind}: {' '.join(arguments)}: no end within {SECONDS_MAX} s")
    if process.returncode != 0:
        # 1: the run could not be made; anything else is the generator's own trouble.
        kind = Refused if process.returncode == 1 else Failure
        raise kind(f"{cluster.kind}: {' '.join(words)}: {errors.strip()}")
    result = json.loads(output)
    if result["errors"] or is_complete and result["done"] < result["expected"] * 0.99:
        raise Refused(f"{cluster.kind}: {' '.join(arguments)}: {output.strip()}")
    if is_write:
        demand_revisions(cluster, revision, result["operations"])
    return Outcome(
        result["done"] / result["seconds"], result["p50"] / 1000, result["p99"] / 1000, result["operations"], spent)


def demand_revisions(cluster, before, count):
    """A call that failed, or was done twice, must not look fast."""
    end = time.monotonic() + 5
    # The member that is asked may not have applied yet what another one has answered.
    while (made := cluster.revision() - before) < count and time.monotonic() < end:
        time.sleep(0.05)
    if made != count:
        raise Refused(f"{cluster.kind}: {count} puts made {made} revisions")


def demand_values(cluster, text, count):
    """To h2load a call that failed is a good HTTP answer, only without a value in it."""
    received = re.search(r"\((\d+)\) data", text)
    if not received or int(received[1]) < count * len(VALUE):
        raise Refused(f"{cluster.kind}: not every one of {count} ranges found the value: {text}")


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
VALUE = b"v" * 256
BODIES = {
    "put": ("/etcdserverpb.KV/Put", framed(field(1, KEY) + field(2, VALUE))),
    "range": ("/etcdserverpb.KV/Range", framed(field(1, KEY))),
    "serializable range": ("/etcdserverpb.KV/Range", framed(field(1, KEY) + field(7, 1))),
}


def h2load(program, cluster, call, requests, connections=9, window=32):
    """One generator for each member, all at once, with its share of the connections (`requests`: a multiple of them)."""
    path, body = BODIES[call]
    with tempfile.TemporaryDirectory() as scratch:
        message = os.path.join(scratch, "message")
        with open(message, "wb") as file:
            file.write(body)
        count = len(cluster.members)
        clients = [connections // count + (number < connections % count) for number in range(count)]
        shares = [requests // connections * share for share in clients]
        if call != "put":
            cluster.put(KEY, VALUE)
        before, revision = cluster.processor_seconds(), cluster.revision()
        running = [
            subprocess.Popen(
                [program, f"--requests={shares[number]}", f"--clients={clients[number]}",
                 f"--max-concurrent-streams={window}", "--threads=1", f"--data={message}",
                 "--header=content-type: application/grpc", "--header=te: trailers",
                 f"--log-file={scratch}/{number}", f"http://{member.endpoint}{path}"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for number, member in enumerate(cluster.members)
        ]
        texts = [process.communicate(timeout=300)[0] for process in running]
        spent = cluster.processor_seconds() - before
        for process, text, share in zip(running, texts, shares):
            if process.returncode != 0 or f" {share} succeeded" not in text:
                raise Refused(f"{cluster.kind}: h2load {path}: {text}")
            if call != "put":
                demand_values(cluster, text, share)
        done = sum(shares)
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
