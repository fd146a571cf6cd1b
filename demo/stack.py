"""The processes of the demo, configured from the files in deploy/example."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "deploy" / "example"

CLIENT_PORT, MEMBER_PORT, SERVICE_PORT, FRONTEND_PORT = 2379, 2380, 8080, 3210


class ExpectationFailed(Exception):
    """Something did not happen as promised; the text says what."""


def adapt(text, replacements, name):
    """Replaces hosts and paths of an example file. A text that is not there means that the example has changed."""
    for old, new in replacements:
        if old not in text:
            raise ExpectationFailed(f"deploy/example/{name} no longer contains {old!r}; adapt demo/stack.py")
        text = text.replace(old, new)
    return text


def free_subnet():
    """A prefix 127.0.N. on which nobody listens: every host of the example gets a loopback address of its own."""
    for number in range(77, 200):
        prefix = f"127.0.{number}."
        wanted = [(f"{prefix}{host}", port) for host in (11, 12, 13) for port in (CLIENT_PORT, MEMBER_PORT)]
        wanted += [(f"{prefix}21", SERVICE_PORT), (f"{prefix}22", SERVICE_PORT), (f"{prefix}31", FRONTEND_PORT)]
        if all(can_bind(*address) for address in wanted):
            return prefix
    raise ExpectationFailed(
        f"one of the ports {CLIENT_PORT}, {MEMBER_PORT}, {SERVICE_PORT}, {FRONTEND_PORT} is taken on each loopback address"
    )


def can_bind(host, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def die_with_parent():
    """In the child: if the demo itself is killed, the kernel ends what it started."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


class Process:
    """One program, its log, and how it ended."""

    def __init__(self, name, command, log, environment=None, outlives_us=False):
        self.name, self.command, self.log, self.outlives_us = name, [str(part) for part in command], log, outlives_us
        self.environment = {**os.environ, **(environment or {})}
        self.child = None
        self.is_wanted = False

    def start(self):
        self.is_wanted = True
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment,
                start_new_session=True, preexec_fn=None if self.outlives_us else die_with_parent,
            )
        return self

    @property
    def pid(self):
        return self.child.pid

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """What a crash does: no goodbye."""
        self.is_wanted = False
        self.child.kill()
        self.child.wait()

    def stop(self, seconds=15):
        """SIGTERM, and the exit status; a program that ignores it for too long is killed and called by name."""
        self.is_wanted = False
        if self.child is None or self.child.poll() is not None:
            return None
        self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ExpectationFailed(f"{self.name} did not exit within {seconds} s of SIGTERM") from None

    def resident_megabytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def last_lines(self, count=12):
        try:
            return pathlib.Path(self.log).read_text(errors="replace").splitlines()[-count:]
        except OSError:
            return []


class Stack:
    """Three members, two instances with a nerve each, one synapse, HAProxy."""

    def __init__(self, folder, programs, keep):
        self.folder, self.programs, self.keep = folder, programs, keep
        self.prefix = free_subnet()
        self.endpoints = [f"{self.prefix}{host}:{CLIENT_PORT}" for host in (11, 12, 13)]
        self.frontend = (f"{self.prefix}31", FRONTEND_PORT)
        self.socket = folder / "haproxy.sock"
        self.haproxy_configuration = folder / "synapse" / "haproxy.cfg"
        self.haproxy_program = shutil.which("haproxy")
        if self.haproxy_program is None:
            raise ExpectationFailed("no haproxy in the path; run bin/setup")
        self.members = [self.member(number) for number in (1, 2, 3)]
        self.instances = [self.instance(number) for number in (1, 2)]
        self.nerves = [self.nerve(number) for number in (1, 2)]
        self.synapse = self.make_synapse()
        self.haproxy = self.make_haproxy()

    def program(self, name):
        path = self.programs / name
        if not os.access(path, os.X_OK):
            raise ExpectationFailed(f"{path} is not built; run 'make build'")
        return path

    def home(self, name):
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def process(self, name, command, environment=None):
        return Process(name, command, self.folder / f"{name}.log", environment, outlives_us=self.keep)

    def member(self, number):
        name = f"member-{number}"
        home = self.home(name)
        text = adapt(
            (EXAMPLE / f"{name}.env").read_text(),
            [("10.20.0.", self.prefix), ("/var/lib/registryd", str(home / "data"))], f"{name}.env",
        )
        (home / "member.env").write_text(text)
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return self.process(name, [self.program("registryd")], dict(line.split("=", 1) for line in lines))

    def instance(self, number):
        host = f"{self.prefix}2{number}"
        command = [sys.executable, HERE / "hello_service.py", f"web-{number}", host, SERVICE_PORT]
        return self.process(f"web-{number}", command)

    def nerve(self, number):
        home = self.home(f"nerve-{number}")
        text = adapt(
            (EXAMPLE / "nerve.yaml").read_text(),
            [
                ("host: 10.20.0.21", f"host: {self.prefix}2{number}"), ("10.20.0.", self.prefix),
                ("instance_id: web-1", f"instance_id: web-{number}"), ("/var/lib/nerve", str(home)),
            ], "nerve.yaml",
        )
        (home / "nerve.yaml").write_text(text)
        return self.process(f"nerve-{number}", [self.program("nerve"), "-c", home / "nerve.yaml"])

    def make_synapse(self):
        home = self.home("synapse")
        reload_script = home / "reload-haproxy"
        reload_script.write_text(
            "#!/bin/sh\n"
            f'echo reload >>"{home}/reloads"\n'
            "# Before HAProxy runs there is nothing to reload: the demo starts it with what synapse has written.\n"
            f'test ! -s "{self.folder}/haproxy.pid" || kill -USR2 "$(cat "{self.folder}/haproxy.pid")"\n'
        )
        reload_script.chmod(0o755)
        text = adapt(
            (EXAMPLE / "synapse.yaml").read_text(),
            [
                ("10.20.0.", self.prefix), ("bind_address: 127.0.0.1", f"bind_address: {self.frontend[0]}"),
                ("touch /run/synapse/reload-haproxy", str(reload_script)),
                ("/run/synapse/haproxy.sock", str(self.socket)),
                ("/var/lib/synapse", str(home)), ("/usr/sbin/haproxy", self.haproxy_program),
                # What only a host with systemd, syslog and these users has.
                (" mode 660 level admin group synapse", " mode 600 level admin"), ("    - log /dev/log local0\n", ""),
                ("    - user haproxy\n", ""), ("    - group haproxy\n", ""), ("    - log global\n", ""),
            ], "synapse.yaml",
        )
        (home / "synapse.yaml").write_text(text)
        return self.process("synapse", [self.program("synapse"), "-c", home / "synapse.yaml"])

    def make_haproxy(self):
        # Master and worker, as in Debian's unit, so that a reload would be seamless.
        command = [self.haproxy_program, "-W", "-f", self.haproxy_configuration, "-p", self.folder / "haproxy.pid"]
        return self.process("haproxy", command)

    def everything(self):
        """In the order in which they are stopped: nobody registers or forwards to what is already gone."""
        return [*self.nerves, self.synapse, self.haproxy, *self.instances, *self.members]

    def stop(self):
        """Ends all processes, also after one refuses; returns what went wrong."""
        problems = []
        for process in self.everything():
            try:
                status = process.stop()
                if status not in (None, 0) and process not in [self.haproxy, *self.instances]:
                    problems.append(f"{process.name} exited with status {status}")
            except ExpectationFailed as failure:
                problems.append(str(failure))
        deadline = time.monotonic() + 5
        while self.socket_is_served() and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.socket_is_served():
            problems.append("an HAProxy worker outlived its master")
        return problems

    def socket_is_served(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True
