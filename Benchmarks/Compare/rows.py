"""The rows of the comparison."""

from load import etcdload, h2load


class Row:
    def __init__(self, name, goal, figure, run, core_share=None):
        self.name, self.goal, self.figure, self.run, self.core_share = name, goal, figure, run, core_share
        """`figure`: which of an outcome's figures the goal is about: rate, p50 or p99. `goal`: ours over theirs, at
        least for rates and at most for times, with the limit for processor time behind it or None. `core_share`: how much of one core our members may take
        together."""


class Tools:
    def __init__(self, etcdload, h2load, seconds, warmup=1):
        self.etcdload, self.h2load, self.seconds, self.warmup = etcdload, h2load, seconds, warmup

    def own(self, cluster, *arguments, **options):
        times = ["--seconds", str(self.seconds), "--warmup", str(self.warmup)]
        return etcdload(self.etcdload, cluster, [*arguments, *times], **options)

    def unary(self, cluster, call, rate):
        """As many requests as take about the time; the faster side gets through sooner."""
        return h2load(self.h2load, cluster, call, int(rate * self.seconds) // 9 * 9)


def rows(tools):
    return [
        Row("put, 1 client", (0.6, None), "p50", lambda c: tools.own(
            c, "put", "--connections", "1", "--window", "1", endpoints=c.leader().endpoint, is_write=True)),
        Row("put, 9 × 32 in flight, 256 B", (3, 1 / 3), "rate", lambda c: tools.unary(c, "put", 20_000)),
        Row("linearizable range, 9 × 32", (8, None), "rate", lambda c: tools.unary(c, "range", 20_000)),
        Row("serializable range, 9 × 32", (10, None), "rate", lambda c: tools.unary(c, "serializable range", 20_000)),
        Row("lease keepalive, 9 streams × 32", (6, None), "rate", lambda c: tools.own(c, "keepalive")),
        Row("10 000 leases, 3 333 renewals/s", (None, None), "p99", lambda c: tools.own(
            c, "keepalive", "--leases", "10000", "--ttl", "10", "--rate", "3333", "--streams", "90"),
            core_share=0.2),
        Row("watch: 900 streams, 200 puts/s", (1 / 5, 1 / 5), "p99", lambda c: tools.own(
            c, "watch", "--streams", "900", "--connections", "10", "--rate", "200", is_complete=True)),
        Row("watch: 900 streams, saturated", (2, None), "rate", lambda c: tools.own(
            c, "watch", "--streams", "900", "--connections", "10", is_complete=True)),
        Row("watch: 9 000 streams, 20 puts/s", (1 / 5, None), "p99", lambda c: tools.own(
            c, "watch", "--streams", "9000", "--connections", "91", "--rate", "20", is_complete=True)),
    ]
