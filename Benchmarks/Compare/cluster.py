"""Three members of one kind as processes on loopback, with the same flags for both kinds."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request


class Failure(Exception):
    """What could not be measured, in words for the one who reads the terminal."""


class Refused(Failure):
    """One side would not do it, or not in time: the work can go on without it, where that is said."""


class Member:
    def __init__(self, kind, program, number, host, folder, initial, extra):
        self.kind, self.host = kind, host
        self.endpoint = f"{host}:2379"
        self.folder = os.path.join(folder, f"{kind}-{number}")
        self.log = open(self.folder + ".log", "wb")
        self.process = subprocess.Popen(
            [program, "--name", f"m{number}", "--data-dir", self.folder,
             "--listen-client-urls", f"http://{host}:2379", "--advertise-client-urls", f"http://{host}:2379",
             "--listen-peer-urls", f"http://{host}:2380", "--initial-advertise-peer-urls", f"http://{host}:2380",
             "--initial-cluster", initial, "--initial-cluster-token", "bench", "--initial-cluster-state", "new",
             *extra],
            stdout=self.log, stderr=subprocess.STDOUT)

    def ask(self, path, body=None, seconds=5):
        request = urllib.request.Request(
            f"http://{self.endpoint}{path}", data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return json.load(answer)

    def status(self):
        return self.ask("/v3/maintenance/status", {})

    def processor_seconds(self):
        """User and system time of all threads."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        raise Failure(f"{self.endpoint} has ended; see {self.log.name}")

    def disk_mib(self):
        """What its files take up."""
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += os.stat(os.path.join(folder, name)).st_blocks * 512
        return total / 2**20

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Cluster:
    """Use as a context: members end with it, and their directories go."""

    def __init__(self, kind, program, prefix, folder, size=3, extra=()):
        self.kind = kind
        hosts = [f"{prefix}.{number}" for number in range(1, size + 1)]
        initial = ",".join(f"m{number + 1}=http://{host}:2380" for number, host in enumerate(hosts))
        os.makedirs(folder, exist_ok=True)
        self.members = [
            Member(kind, program, number + 1, host, folder, initial, list(extra)) for number, host in enumerate(hosts)
        ]

    def __enter__(self):
        try:
            self.leader()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.stop()
            shutil.rmtree(member.folder, ignore_errors=True)

    @property
    def endpoints(self):
        return ",".join(member.endpoint for member in self.members)

    def leader(self, seconds=30):
        """Waits until all members follow the same one."""
        end = time.monotonic() + seconds
        while True:
            try:
                states = [member.status() for member in self.members]
                leaders = {state.get("leader") for state in states}
                if len(leaders) == 1 and None not in leaders:
                    for member, state in zip(self.members, states):
                        if state["header"]["member_id"] == state["leader"]:
                            return member
            except OSError:
                for member in self.members:
                    if member.process.poll() is not None:
                        raise Failure(f"{member.kind} on {member.endpoint} has ended; see {member.log.name}")
            if time.monotonic() > end:
                raise Refused(f"{self.kind}: no leader within {seconds} s; see {self.members[0].log.name}")
            time.sleep(0.05)

    def revision(self):
        return int(self.leader().status()["header"]["revision"])

    def put(self, key, value):
        """Bytes, in one call at the leader."""
        self.leader().ask(
            "/v3/kv/put", {"key": base64.b64encode(key).decode(), "value": base64.b64encode(value).decode()})

    def processor_seconds(self):
        return sum(member.processor_seconds() for member in self.members)

    def resident_mib(self):
        """Of the largest member."""
        return max(member.resident_mib() for member in self.members)

    def disk_mib(self):
        """Of the largest member."""
        return max(member.disk_mib() for member in self.members)


def end_on_signals():
    """So that contexts are left, and members end, when the run is ended."""

    def leave(number, _):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
