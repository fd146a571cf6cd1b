"""Starts the whole stack on loopback, breaks it piece by piece, and says how long each repair took.

Every step states what must hold. The first thing that does not ends the demo with an error, the logs and exit status 1.
"""

import argparse
import pathlib
import shlex
import shutil
import signal
import sys
import tempfile
import time

from observers import HAProxyWatch, Load, Registry, Writers
from stack import ExpectationFailed, Stack

SERVICE, PATH = "hello", "/services/hello"
# From deploy/example/nerve.yaml: the time that the check needs by itself to be sure.
CHECK_INTERVAL, RISE, FALL, CONFIRMATION, LEASE_TTL = 1.0, 2, 2, 0.1, 10.0


class Demo:
    def __init__(self, stack, patience):
        self.stack, self.patience = stack, patience
        self.begin = time.monotonic()
        self.load = Load(stack.frontend)
        self.watch = HAProxyWatch(stack.socket, SERVICE)
        self.measured = []  # what is repeated at the end: text, seconds, limit
        self.settled = None

    # -- saying and expecting

    def say(self, text):
        print(f"[{time.monotonic() - self.begin:8.3f} s] {text}", flush=True)

    def headline(self, text):
        print(flush=True)
        self.say(f"== {text}")

    def expect(self, condition, text):
        if not condition:
            raise ExpectationFailed(text)

    def wait(self, what, condition, seconds, pause=0.005):
        """Waits until the condition holds and returns how long it took; a crashed program fails the wait at once."""
        start = time.monotonic()
        while True:
            value = condition()
            now = time.monotonic()
            if value:
                return now - start
            self.expect_running()
            self.expect(now - start < seconds * self.patience, f"{what}: not within {seconds * self.patience:.1f} s")
            time.sleep(pause)

    def let_pass(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.expect_running()
            time.sleep(min(0.1, seconds))

    def measure(self, text, seconds, limit):
        limit *= self.patience
        self.measured.append((text, seconds, limit))
        self.say(f"{text}: {seconds * 1000:.0f} ms (at most {limit * 1000:.0f} ms)")
        self.expect(seconds <= limit, f"{text} took {seconds * 1000:.0f} ms, {limit * 1000:.0f} ms were promised")

    def expect_no_failures(self, start, text):
        failed = self.load.failures(start)
        asked = len(self.load.since(start))
        self.expect(asked > 0, f"{text}: nothing was asked")
        detail = "; ".join(f"{sent - self.begin:.3f} s: {error}" for sent, _, _, error in failed[:5])
        self.expect(not failed, f"{text}: {len(failed)} of {asked} requests failed ({detail})")
        self.say(f"{asked} requests through HAProxy, none failed")

    def expect_running(self):
        """Every program that was started and not stopped by us is still there."""
        for process in self.stack.everything():
            if process.is_wanted and not process.is_running():
                raise ExpectationFailed(f"{process.name} ended by itself, exit status {process.child.returncode}")

    def expect_no_reload(self, start):
        self.expect(self.watch.reloads_since(start) == 0, "HAProxy was reloaded; endpoint changes must not need that")

    # -- looking

    def living(self):
        members = zip(self.stack.endpoints, self.stack.members)
        return [Registry(endpoint) for endpoint, member in members if member.is_running()]

    def leader(self):
        """The index of the leader, once every living member names the same one."""
        ids, leaders = {}, set()
        for index, member in enumerate(self.stack.members):
            if not member.is_running():
                continue
            try:
                member_id, leader = Registry(self.stack.endpoints[index]).status()
            except (OSError, KeyError, ValueError):
                return None
            ids[member_id] = index
            leaders.add(leader)
        return ids.get(leaders.pop()) if len(leaders) == 1 else None

    def registrations(self):
        """What every living member answers; they must agree, or it is None."""
        try:
            answers = [registry.registrations(PATH) for registry in self.living()]
        except (OSError, KeyError, ValueError):
            return None
        return answers[0] if answers and all(answer == answers[0] for answer in answers) else None

    def registered(self):
        """The instances that are registered, by name and sorted; a name that is there twice appears twice."""
        return sorted(key.rsplit("/", 1)[1].split("_")[0] for key in self.registrations() or {})

    # -- the steps

    def start_members(self):
        self.headline("three members")
        for member in self.stack.members:
            member.start()
        for endpoint, member in zip(self.stack.endpoints, self.stack.members):
            self.wait(f"{member.name} healthy", Registry(endpoint).is_healthy, 15)
        self.wait("a leader that all name", lambda: self.leader() is not None, 10)
        self.say(f"all healthy, {self.stack.members[self.leader()].name} leads ({', '.join(self.stack.endpoints)})")

    def start_services(self):
        self.headline("two instances with a nerve each, one synapse, HAProxy")
        start = time.monotonic()
        for process in [*self.stack.instances, *self.stack.nerves, self.stack.synapse]:
            process.start()
        self.wait("both instances registered", lambda: self.registered() == ["web-1", "web-2"], 15)
        self.say(f"registered: {', '.join(sorted(self.registrations()))}")
        self.wait("synapse writes HAProxy's configuration", self.stack.haproxy_configuration.exists, 15)
        self.stack.haproxy.start()
        self.watch.start()
        self.wait("HAProxy sends to both", self.is_serving_both, 15)
        self.load.start()
        self.settle()
        counts = self.load.count_by_instance(self.settled)
        self.expect(set(counts) == {"web-1", "web-2"}, f"traffic does not reach both instances: {counts}")
        self.say(f"traffic reaches both, {time.monotonic() - start:.1f} s after the first start: {counts}")

    def is_serving_both(self):
        return self.watch.is_serving("web-1") and self.watch.is_serving("web-2")

    def settle(self):
        """Waits for three quiet seconds: HAProxy may be reloaded once after its start, and never again."""
        deadline = time.monotonic() + 20 * self.patience
        self.settled = time.monotonic()
        while time.monotonic() - self.settled < 3:
            time.sleep(0.05)
            if self.watch.reloads_since(self.settled) or self.watch.changes_since(self.settled):
                self.settled = time.monotonic()
            self.expect(time.monotonic() < deadline, "HAProxy does not come to rest after its start")
        self.expect_no_failures(self.settled, "while nothing happens")

    def kill_instance(self):
        self.headline("kill -9 of the instance web-2")
        killed = time.monotonic()
        self.stack.instances[1].kill()
        self.wait("HAProxy stops sending to web-2", lambda: not self.watch.is_serving("web-2"), 10)
        gone = next(when for when, name, up in self.watch.changes_since(killed) if name.startswith("web-2_") and not up)
        limit = CHECK_INTERVAL + (FALL - 1) * CONFIRMATION + 0.1
        self.measure("instance killed until HAProxy stops sending", gone - killed, limit)
        self.let_pass(1)
        # A request that web-2 had taken when it died cannot be saved; whatever was sent later must be.
        cut = len(self.load.failures(killed - 1, killed + 0.02))
        self.say(f"requests cut off with the instance: {cut}")
        self.expect_no_failures(killed + 0.02, "after the death of web-2")
        counts = self.load.count_by_instance(gone + 0.1)
        self.expect(set(counts) == {"web-1"}, f"traffic should reach web-1 only: {counts}")
        self.expect(self.registered() == ["web-1"], f"registered should be web-1 only: {self.registered()}")
        self.expect_no_reload(self.settled)

    def kill_leader(self):
        leader = self.leader()
        self.expect(leader is not None, "the members do not agree on a leader")
        victim = self.stack.members[leader]
        self.headline(f"kill -9 of the leader, {victim.name}")
        before = self.registrations()
        survivors = [endpoint for index, endpoint in enumerate(self.stack.endpoints) if index != leader]
        writers = Writers(survivors).start()
        self.wait("writes flow", lambda: writers.first_after(self.begin), 5)
        self.let_pass(0.2)
        killed = time.monotonic()
        victim.kill()
        self.wait("a write after the leader's death", lambda: writers.first_after(killed), 5, 0.001)
        writers.stop()
        acknowledged = writers.first_after(killed)
        self.measure("leader killed until the next acknowledged write", acknowledged - killed, 0.5)
        self.wait("the survivors agree on a leader", lambda: self.leader() is not None, 5)
        self.say(f"{self.stack.members[self.leader()].name} leads now")
        self.expect_same_registrations(before, "right after")
        self.say(f"waiting for longer than the lease ({LEASE_TTL:.0f} s) with two members")
        self.let_pass(LEASE_TTL + 2)
        self.expect_same_registrations(before, "a lease later")
        self.say(f"no registration lost: {', '.join(sorted(before))}")
        self.expect_no_failures(killed, "since the leader was killed")
        self.expect(not self.watch.changes_since(killed), f"HAProxy changed: {self.watch.changes_since(killed)}")
        self.expect_no_reload(self.settled)
        victim.start()
        took = self.wait("all three name a leader", lambda: self.leader() is not None, 15)
        self.wait("the member that came back has everything", lambda: self.registrations() == before, 10)
        self.say(f"{victim.name} is back and up to date after {took:.1f} s")

    def expect_same_registrations(self, before, when):
        """The same keys with the same creation revisions: an expired and renewed registration would show."""
        self.wait("the members agree", lambda: self.registrations() is not None, 5)
        now = self.registrations()
        self.expect(now == before, f"registrations changed ({when}): {before} became {now}")

    def return_instance(self):
        self.headline("the instance web-2 returns")
        returned = time.monotonic()
        self.stack.instances[1].start()
        self.wait("HAProxy sends to web-2", lambda: self.watch.is_serving("web-2"), 10)
        back = next(when for when, name, up in self.watch.changes_since(returned) if name.startswith("web-2_") and up)
        # One interval until the first check, the others to rise, and the start of a Python program.
        self.measure("instance started until HAProxy sends to it", back - returned, RISE * CHECK_INTERVAL + 0.6)
        self.wait("web-2 answers", lambda: self.load.count_by_instance(back).get("web-2", 0) > 10, 5)
        self.say(f"traffic: {self.load.count_by_instance(back)}")
        self.expect_no_failures(returned, "while web-2 returned")
        self.expect_no_reload(self.settled)

    def stop_members(self):
        self.headline("all three members are stopped")
        stopped = time.monotonic()
        for member in self.stack.members:
            status = member.stop()
            self.expect(status == 0, f"{member.name} exited with status {status} on SIGTERM")
        self.say(f"no registry; waiting for longer than the lease ({LEASE_TTL:.0f} s)")
        self.let_pass(LEASE_TTL + 2)
        self.expect_running()
        self.expect_no_failures(stopped, "without a registry")
        counts = self.load.count_by_instance(stopped)
        self.expect(set(counts) == {"web-1", "web-2"}, f"traffic should reach both: {counts}")
        return stopped

    def return_members(self, stopped):
        self.headline("the members return")
        returned = time.monotonic()
        for member in self.stack.members:
            member.start()
        self.wait("a leader that all name", lambda: self.leader() is not None, 15)
        self.wait("both registrations are there", lambda: self.registered() == ["web-1", "web-2"], 15)
        self.measure("members started until the registrations are there", time.monotonic() - returned, 10)
        self.say(f"waiting for longer than the lease ({LEASE_TTL:.0f} s): only renewed registrations survive that")
        self.let_pass(LEASE_TTL + 2)
        self.expect(self.registered() == ["web-1", "web-2"], f"registered now: {self.registered()}")
        self.say(f"registered: {', '.join(sorted(self.registrations()))}")
        self.expect_running()
        changes = [
            f"{when - self.begin:.3f} s {name} {'up' if up else 'down'}"
            for when, name, up in self.watch.changes_since(stopped)
        ]
        self.expect(not changes, f"servers flapped in HAProxy: {'; '.join(changes)}")
        self.expect_no_failures(stopped, "since the members were stopped")
        self.expect_no_reload(self.settled)

    def summary(self):
        self.headline("measured")
        for text, seconds, limit in self.measured:
            print(f"  {text:<52} {seconds * 1000:7.0f} ms   (at most {limit * 1000:.0f} ms)")
        total, failed = len(self.load.since(0)), len(self.load.failures(0))
        print(f"  {'requests through HAProxy':<52} {total:7}      ({failed} failed, cut off with the killed instance)")
        print(f"  {'reloads of HAProxy after its start':<52} {self.watch.reloads_since(self.settled):7}")
        for process in [*self.stack.members, *self.stack.nerves, self.stack.synapse]:
            print(f"  {'resident memory of ' + process.name:<52} {process.resident_megabytes():7.1f} MB")

    def run(self):
        self.start_members()
        self.start_services()
        self.kill_instance()
        self.kill_leader()
        self.return_instance()
        self.return_members(self.stop_members())
        self.summary()


def leave_running(stack):
    pids = " ".join(str(process.pid) for process in stack.everything() if process.is_running())
    stop = stack.folder / "stop"
    stop.write_text(
        "#!/bin/sh\n# Ends what this demo left running, then removes its folder.\n"
        f"kill {pids}\nsleep 2\nrm -r {shlex.quote(str(stack.folder))}\n"
    )
    stop.chmod(0o755)
    endpoints = ",".join(stack.endpoints)
    print(f"""
Everything is left running:
  the service through HAProxy   curl http://{stack.frontend[0]}:{stack.frontend[1]}/
  registrations                 {stack.program('registryctl')} --endpoints {endpoints} get --prefix {PATH}/
  watch them change             {stack.program('registryctl')} --endpoints {endpoints} watch --prefix {PATH}/
  members                       {stack.program('registryctl')} --endpoints {endpoints} endpoint status -o table
  configuration and logs        {stack.folder}
  stop everything               {stop}""")


def main():
    parser = argparse.ArgumentParser(prog="bin/demo", description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="folder of registryd, nerve, synapse, ...")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--patience", type=float, default=1.0, help="multiplies every time limit, for a slow machine")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ganglion-demo-"))
    stack = demo = None
    problems, done = [], False
    try:
        stack = Stack(folder, options.programs.resolve(), options.keep)
        demo = Demo(stack, options.patience)
        demo.run()
        done = True
    except ExpectationFailed as failure:
        problems.append(str(failure))
    finally:
        if demo is not None:
            demo.load.stopping.set()
            demo.watch.stopping.set()
        if done and options.keep:
            leave_running(stack)
        elif stack is not None:
            if problems:
                show_logs(stack)
            problems += stack.stop()
            print("\nnothing is left running", flush=True)
            if problems:
                print(f"logs and configuration: {folder}", flush=True)
            elif not done:
                shutil.rmtree(folder)  # interrupted
    if problems:
        for problem in problems:
            print(f"EXPECTATION FAILED: {problem}", file=sys.stderr)
        sys.exit(1)
    if not options.keep:
        shutil.rmtree(folder)
    print("demo passed")


def show_logs(stack):
    for process in stack.everything():
        lines = process.last_lines()
        if lines:
            print(f"\n-- last lines of {process.log}", *lines, sep="\n   ", flush=True)


if __name__ == "__main__":
    main()
