"""Those who watch while things fail: a client of the service, HAProxy's own view, the registry's JSON interface."""

import base64
import http.client
import json
import socket
import threading
import time


class Load:
    """Clients that ask HAProxy's frontend without pause: a new connection each time, as an ordinary program might."""

    def __init__(self, frontend, clients=4, pause=0.02):
        self.frontend, self.pause = frontend, pause
        self.lock = threading.Lock()
        self.answers = []  # (when it was sent, seconds it took, instance or None, error or None)
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self):
        while not self.stopping.wait(self.pause):
            sent = time.monotonic()
            instance, error = self.ask()
            with self.lock:
                self.answers.append((sent, time.monotonic() - sent, instance, error))

    def ask(self):
        connection = http.client.HTTPConnection(*self.frontend, timeout=5)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                return None, f"status {response.status}"
            return response.getheader("X-Instance"), None
        except (OSError, http.client.HTTPException) as error:
            return None, repr(error)
        finally:
            connection.close()

    def since(self, start, end=float("inf")):
        with self.lock:
            return [answer for answer in self.answers if start <= answer[0] < end]

    def failures(self, start, end=float("inf")):
        return [answer for answer in self.since(start, end) if answer[3] is not None]

    def count_by_instance(self, start, end=float("inf")):
        counts = {}
        for _, _, instance, error in self.since(start, end):
            if error is None:
                counts[instance] = counts.get(instance, 0) + 1
        return counts


class HAProxyWatch:
    """Reads 'show stat' and the worker's process id over the runtime socket and keeps every change with its time."""

    def __init__(self, path, backend, interval=0.01):
        self.path, self.backend, self.interval = str(path), backend, interval
        self.lock = threading.Lock()
        self.serving = {}  # server name to whether HAProxy sends to it
        self.changes = []  # (time, server name, now serving)
        self.workers = []  # (time, process id), one for every worker seen
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def command(self, text):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(self.path)
            connection.sendall(text.encode() + b"\n")
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts).decode()

    def run(self):
        while not self.stopping.wait(self.interval):
            try:
                info, stat = self.command("show info"), self.command("show stat")
            except OSError:
                continue  # between two workers, or not started yet
            self.note(time.monotonic(), info, stat)

    def note(self, now, info, stat):
        worker = next((int(line.split()[1]) for line in info.splitlines() if line.startswith("Pid:")), None)
        lines = stat.splitlines()
        if worker is None or not lines or not lines[0].startswith("# "):
            return
        names = lines[0][2:].split(",")
        found = {}
        for line in lines[1:]:
            row = dict(zip(names, line.split(",")))
            if row.get("pxname") == self.backend and row.get("svname") not in ("FRONTEND", "BACKEND"):
                found[row["svname"]] = row["status"].startswith(("UP", "no check"))
        with self.lock:
            if not self.workers or self.workers[-1][1] != worker:
                self.workers.append((now, worker))
            for name in sorted(found.keys() | self.serving.keys()):
                if found.get(name, False) != self.serving.get(name, False):
                    self.changes.append((now, name, found.get(name, False)))
            self.serving = found

    def is_serving(self, instance):
        with self.lock:
            return any(up for name, up in self.serving.items() if name.startswith(f"{instance}_"))

    def changes_since(self, start):
        with self.lock:
            return [change for change in self.changes if change[0] >= start]

    def reloads_since(self, start):
        with self.lock:
            return len([worker for worker in self.workers[1:] if worker[0] >= start])


class Registry:
    """The JSON gateway of one member."""

    def __init__(self, endpoint, timeout=2):
        self.endpoint, self.timeout = endpoint, timeout

    def call(self, path, body=None):
        connection = http.client.HTTPConnection(self.endpoint, timeout=self.timeout)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise OSError(f"{self.endpoint}{path}: status {response.status}: {text[:200]!r}")
            return json.loads(text)
        except http.client.HTTPException as error:
            raise OSError(f"{self.endpoint}{path}: {error!r}") from error
        finally:
            connection.close()

    def is_healthy(self):
        try:
            return self.call("/health").get("health") in ("true", True)
        except (OSError, ValueError):
            return False

    def status(self):
        """This member's id and the leader's; a leader of "0" means that there is none."""
        answer = self.call("/v3/maintenance/status", {})
        return answer["header"]["member_id"], answer.get("leader", "0")

    def put(self, key, value):
        return self.call("/v3/kv/put", {"key": encode(key), "value": encode(value)})

    def registrations(self, path):
        """Key to the revision at which it was created, for every key below the path."""
        prefix = path + "/"
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.call("/v3/kv/range", {"key": encode(prefix), "range_end": encode(end)})
        return {
            base64.b64decode(pair["key"]).decode(): int(pair["create_revision"]) for pair in answer.get("kvs", [])
        }


def encode(text):
    return base64.b64encode(text.encode()).decode()


class Writers:
    """Puts to several members, one every few milliseconds, each on a connection and thread of its own: one that hangs
    because its leader has just died holds up no other, as with independent clients."""

    def __init__(self, endpoints, pause=0.01):
        self.endpoints, self.pause = endpoints, pause
        self.lock = threading.Lock()
        self.acknowledged = []  # (when it was sent, when it was acknowledged)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def run(self):
        number = 0
        while not self.stopping.wait(self.pause):
            endpoint = self.endpoints[number % len(self.endpoints)]
            threading.Thread(target=self.write, args=(endpoint, number), daemon=True).start()
            number += 1

    def write(self, endpoint, number):
        sent = time.monotonic()
        try:
            Registry(endpoint).put("/demo/writes", str(number))
        except (OSError, ValueError):
            return  # no leader yet: the next one is on its way
        with self.lock:
            self.acknowledged.append((sent, time.monotonic()))

    def first_after(self, moment):
        """When the first write that was sent after the moment was acknowledged, or None: one that was sent before may
        have been decided before as well, with only its answer still on the way."""
        with self.lock:
            return min((done for sent, done in self.acknowledged if sent > moment), default=None)


def encode(text):
    return base64.b64encode(text.encode()).decode()


class Writer(threading.Thread):
    """Writes to one member until it is told to stop; remembers when each acknowledged write returned."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.registry = Registry(endpoint, timeout=5)
        self.stopping = threading.Event()
        self.acknowledged = []  # when it was sent, when it was acknowledged

    def run(self):
        number = 0
        while not self.stopping.wait(0.002):
            number += 1
            sent = time.monotonic()
            try:
                self.registry.put("/demo/writes", f"{self.registry.endpoint} {number}")
                self.acknowledged.append((sent, time.monotonic()))
            except (OSError, ValueError):
                continue  # no leader yet: the next attempt follows at once

    def first_after(self, moment):
        """When the first write that was sent after the moment was acknowledged, or None: one that was sent before may
        have been decided before as well, with only its answer still on the way."""
        return next((done for sent, done in list(self.acknowledged) if sent > moment), None)
