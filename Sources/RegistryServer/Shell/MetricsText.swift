import EtcdAPI
import NIOCore
import Primitives
import RegistryModel
import Transport

/// The member's own families for `/metrics`, in Prometheus text form and under etcd's names where etcd has one.
extension MemberCore: MetricsSource {
    func renderMetrics(on eventLoop: any EventLoop) -> EventLoopFuture<String> {
        // The links' loop is gone only when the member is.
        let traffic = peerTraffic().recover { _ in [] }
        return traffic.hop(to: eventLoop).map { [self] peers in
            let values = metrics.snapshot
            var text = MetricsText(member: memberID)
            text.addServer(values)
            text.addReads(values)
            text.addAlarms(values.alarms)
            text.addStore(values)
            text.addDisk(values)
            text.addLeases(values.counters)
            text.addLinks(peers)
            text.addSnapshots(values.snapshots)
            text.addOwn(values)
            return text.text
        }
    }
}

/// Builds Prometheus text 0.0.4.
struct MetricsText {
    let member: MemberID
    private(set) var text = ""

    init(member: MemberID) {
        self.member = member
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Int64) {
        head(name, help, "gauge")
        text += "\(name) \(value)\n"
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Bool) {
        gauge(name, help, value ? 1 : 0)
    }

    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        head(name, help, "counter")
        text += "\(name) \(value)\n"
    }

    mutating func seconds(_ name: String, _ help: String, _ value: TimeSpan) {
        head(name, help, "gauge")
        text += "\(name) \(MetricsText.decimal(value))\n"
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head(name, help, "histogram")
        sample(of: name, histogram)
    }

    /// Begins a family whose samples have labels.
    mutating func head(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    /// - Parameter labels: as they stand between the braces; what the values hold needs no escaping.
    mutating func sample(_ name: String, _ labels: String, _ value: UInt64) {
        text += "\(name){\(labels)} \(value)\n"
    }

    /// - Parameter labels: as in `sample`; empty for none.
    mutating func sample(of name: String, labels: String = "", _ histogram: Histogram) {
        let more = labels.isEmpty ? "" : labels + ","
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            text += "\(name)_bucket{\(more)le=\"\(MetricsText.decimal(.microseconds(bound)))\"} \(count)\n"
        }
        text += "\(name)_bucket{\(more)le=\"+Inf\"} \(histogram.total)\n"
        let only = labels.isEmpty ? "" : "{\(labels)}"
        text += "\(name)_sum\(only) \(MetricsText.decimal(histogram.sum))\n"
        text += "\(name)_count\(only) \(histogram.total)\n"
    }

    /// Seconds with as many digits as nanoseconds need.
    private static func decimal(_ span: TimeSpan) -> String {
        let whole = span.nanoseconds / 1_000_000_000
        var digits = String(span.nanoseconds % 1_000_000_000)
        digits = String(repeating: "0", count: max(0, 9 - digits.count)) + digits
        while digits.count > 1, digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits)"
    }
}
