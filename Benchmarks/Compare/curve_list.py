"""The curves: which quantity grows, and what is measured at each of its points.

Work runs on a `Side` and returns figures by name: `rate` per second, `p50` and `p99` in milliseconds, `processor` in
microseconds of all members together for each operation, `megabytes` a second, `resident` and `disk` in MiB of the
largest member.
"""

import time

from load import etcdload, h2load
from rows import Tools


class Curve:
    def __init__(self, name, quantity, points, works, about, prepare=None, size=lambda x: 3, unit=str):
        self.name, self.quantity, self.points, self.works, self.about = name, quantity, points, works, about
        self.prepare, self.size, self.unit = prepare, size, unit
        """`prepare(tools, side, x)` comes before the work of a point; `size(x)`: members; `unit(x)`: x in words."""


class Work:
    """`panels`: what is drawn, in this order; `latency` is p50 and p99 in one."""

    def __init__(self, name, run, panels=("rate", "latency", "processor")):
        self.name, self.run, self.panels = name, run, panels


class CurveTools(Tools):
    def timed(self, side, *arguments, **options):
        """The generator for as long as was asked for."""
        return vars(self.own(side.cluster, *arguments, endpoints=side.endpoints(), **options))

    def counted(self, side, *arguments, **options):
        """The generator until it is through."""
        return vars(etcdload(self.etcdload, side.cluster, list(arguments), endpoints=side.endpoints(), **options))

    def full_windows(self, side, call, window):
        """As many requests as take about the time, by the rate of a short run before."""
        shorter = h2load(self.h2load, side.cluster, call, 9 * (50 + 4 * window), window=window)
        requests = max(int(shorter.rate * self.seconds), 9 * window) // 9 * 9
        return vars(h2load(self.h2load, side.cluster, call, requests, window=window))


def puts(*arguments):
    return lambda tools, side, x: tools.timed(side, "put", *words(arguments, x), is_write=True)


def ranges(*arguments):
    return lambda tools, side, x: tools.timed(side, "range", *words(arguments, x))


def words(arguments, x):
    """A function among them says what becomes of x."""
    return [str(word(x)) if callable(word) else word for word in arguments]


def same(x):
    return x


def grouped(count):
    return f"{count:,}".replace(",", " ")


def binary(count):
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if count >> shift:
            return f"{count >> shift} {unit}"
    return f"{count} B"


# Connections and streams


def connections():
    work = Work("put", puts("--connections", same, "--window", "1"))
    return Curve(
        "connections", "connections", [1, 3, 9, 30, 100, 300], [work],
        "Puts of 256 B, one after the other on each connection. The first connection is to the leader.")


def streams():
    def full(call):
        return Work(call, lambda tools, side, window: tools.full_windows(side, call, window))

    return Curve(
        "streams", "calls in flight on each of 9 connections", [1, 4, 16, 64, 256], [full("put"), full("range")],
        "Puts of 256 B and linearizable ranges of one key over `h2load`, three connections to each member.")


# Keys and values

KEY_VALUE_BYTES = 128


def keys(full):
    def prepare(tools, side, count):
        if side.keys < count:
            tools.counted(
                side, "fill", "--first", str(side.keys), "--keys", str(count), "--value-bytes", str(KEY_VALUE_BYTES),
                is_write=True)
            side.keys = count

    def store(tools, side, count):
        # What is written behind the last answer.
        time.sleep(1)
        return {"resident": side.cluster.resident_mib(), "disk": side.cluster.disk_mib()}

    return Curve(
        "keys", "keys in the store", [10**3, 10**4, 10**5, 10**6] + ([10**7] if full else []), [
            Work("store", store, ("resident", "disk")),
            Work("put", puts("--keys", same, "--value-bytes", str(KEY_VALUE_BYTES))),
            Work("range", ranges("--keys", same)),
        ],
        f"Single-key puts and linearizable ranges of random keys with values of {KEY_VALUE_BYTES} B, 9 connections × "
        "32 in flight. Store: the largest member once the keys are there, before the work of the point; both have log "
        "files beyond what is used, and the history of all puts before.",
        prepare=prepare, unit=grouped)


def values():
    def count(size):
        """So that the keys together stay below 64 MiB."""
        return max(8, min(1_000, 64 * 2**20 // size))

    def prepare(tools, side, size):
        tools.counted(
            side, "fill", "--keys", str(count(size)), "--value-bytes", str(size), "--window", "1", is_write=True)

    def with_megabytes(run):
        def measured(tools, side, size):
            figures = run(tools, side, size)
            return {**figures, "megabytes": figures["rate"] * size / 1e6}
        return measured

    panels = ("rate", "megabytes", "latency", "processor")
    load = ["--keys", count, "--window", "4"]
    return Curve(
        "values", "bytes of each value", [16, 256, 4 * 2**10, 2**16, 2**18, 2**20], [
            Work("put", with_megabytes(puts(*load, "--value-bytes", same)), panels),
            Work("range", with_megabytes(ranges(*load)), panels),
        ],
        "Puts and linearizable ranges of up to 1 000 keys, 64 MiB together at most; 9 connections × 4 in flight.",
        prepare=prepare, unit=binary)


# Watchers and leases


def watchers():
    def connections(count):
        """A hundred streams on each, and the writer's."""
        return 1 + max(1, count // 100)

    def deliver(tools, side, count):
        return tools.timed(
            side, "watch", "--streams", str(count), "--connections", str(connections(count)), "--rate", "20",
            is_complete=True)

    return Curve(
        "watchers", "watch streams", [1, 10, 100, 1_000, 10_000], [
            Work("delivery", deliver, ("latency", "processor")),
            Work("put elsewhere", puts("--window", "1", "--watches", same)),
        ],
        "Delivery: all streams watch one prefix, 20 puts/s go below it, and what is timed is put to event at each "
        "stream. Put elsewhere: as many streams watch other keys, while 9 connections put one after the other: what "
        "is put must not depend on who watches something else.", unit=grouped)


def leases():
    rate = 3_333

    def grant(tools, side, count):
        new, first = count - side.leases, side.leases + 1
        if new <= 0:
            return {}
        figures = tools.counted(
            side, "grant", "--first", str(first), "--leases", str(new), "--ttl", "600", "--window", "32")
        side.leases = count
        # The rate of a few calls is that of the first one.
        return figures if new >= 900 else {}

    def renew(tools, side, count):
        return tools.timed(
            side, "keepalive", "--first", "1", "--leases", str(count), "--rate", str(rate), "--streams", "90",
            is_complete=True)

    return Curve(
        "leases", "leases", [10, 100, 1_000, 10_000, 100_000],
        [Work("grant", grant), Work("renewal", renew, ("latency", "processor"))],
        f"Grant: what is missing up to the number, 9 connections × 32 in flight; fewer than 900 are not timed. "
        f"Renewal: all leases in turn, {rate} renewals/s over 90 streams.", unit=grouped)


# Members


def members():
    def full(call):
        return lambda tools, side, _: tools.full_windows(side, call, window=32)

    return Curve(
        "members", "members", [1, 3, 5], [
            Work("put, 1 client", puts("--connections", "1", "--window", "1")),
            Work("put, 9 × 32", full("put")),
            Work("range, 9 × 32", full("range")),
        ],
        "Puts of 256 B from one client at the leader; puts and linearizable ranges over `h2load`, with the 9 "
        "connections spread over the members.", size=same)


def curves(full=False):
    return [connections(), streams(), keys(full), values(), watchers(), leases(), members()]
