import GRPC
import NIOCore
import RegistryModel

/// Counters of one door. Plain numbers, confined to the door's loop; `snapshot` is what leaves it.
final class DoorMetrics {
    let methods: [MethodCounters]
    private let byPath: [String: MethodCounters]
    /// Sizes of gRPC messages, without frames.
    private(set) var receivedBytes: UInt64 = 0
    private(set) var sentBytes: UInt64 = 0
    var healthSuccesses: UInt64 = 0
    var healthFailures: UInt64 = 0
    /// Of `/livez` and `/readyz`; see `HealthCheckCounters`.
    private(set) var healthChecks = HealthCheckCounters()
    private(set) var clients = ClientVersions()
    private(set) var promotions = Promotions()
    /// Events handed to watch streams.
    private(set) var events: UInt64 = 0

    /// - Parameter hasHistograms: whether the durations of calls are counted (`--metrics extensive`).
    init(methods: [EtcdMethods.Method], hasHistograms: Bool = false) {
        self.methods = methods.map { MethodCounters($0, hasHistogram: hasHistograms) }
        byPath = Dictionary(uniqueKeysWithValues: self.methods.map { ($0.method.path, $0) })
    }

    subscript(path: String) -> MethodCounters? { byPath[path] }

    func received(_ message: [UInt8], _ counters: MethodCounters) {
        receivedBytes += UInt64(message.count)
        counters.messagesReceived += 1
    }

    func sent(_ bytes: Int, _ counters: MethodCounters) {
        sentBytes += UInt64(bytes)
        counters.messagesSent += 1
    }

    /// A call has begun.
    func began(_ call: ServerCall, _ counters: MethodCounters) {
        counters.started += 1
        clients.count(call.metadata["client-api-version"], isUnary: counters.method.kind == .unary)
    }

    func promoted(_ outcome: Result<ReplyBody, Rejection>) { promotions.count(outcome) }

    func sent(events count: Int) { events += UInt64(count) }

    func checked(_ kind: HealthProbe.Kind, _ check: HealthProbe.Check, isHealthy: Bool) {
        healthChecks.count(kind, check, isHealthy: isHealthy)
    }

    func snapshot(watchStreams: Int) -> DoorSnapshot {
        DoorSnapshot(
            methods: methods.map {
                DoorSnapshot.Method(
                    method: $0.method, started: $0.started, handled: $0.handled, received: $0.messagesReceived,
                    sent: $0.messagesSent, handling: $0.handling)
            },
            receivedBytes: receivedBytes, sentBytes: sentBytes, healthSuccesses: healthSuccesses,
            healthFailures: healthFailures, healthChecks: healthChecks, clients: clients, promotions: promotions,
            events: events, watchStreams: watchStreams)
    }
}

/// Counters of one method, and the way its calls end.
final class MethodCounters {
    let method: EtcdMethods.Method
    /// Whether how its calls end is counted by reason.
    let isPromotion: Bool
    var started: UInt64 = 0
    var messagesReceived: UInt64 = 0
    var messagesSent: UInt64 = 0
    /// By the code's number.
    private(set) var handled = [UInt64](repeating: 0, count: GRPCStatus.Code.allCases.count)

    /// How long calls took; nil when that is not counted.
    private(set) var handling: DurationHistogram?

    init(_ method: EtcdMethods.Method, hasHistogram: Bool) {
        self.method = method
        isPromotion = method.name == "MemberPromote"
        handling = hasHistogram ? DurationHistogram() : nil
    }

    /// Ends a call. Its `state` keeps the code until the call is closed, which is when it is counted.
    func finish(_ call: ServerCall, _ status: GRPCStatus) {
        guard call.isOpen else { return }
        call.state = StatusMark.all[status.code.rawValue]
        call.finish(status)
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        handled[code(call, end).rawValue] += 1
        if let openedAt = call.openedAt { handling?.observe(.now() - openedAt) }
    }

    /// Counts a call that was refused before it had a handler.
    func refused(_ code: GRPCStatus.Code) {
        handled[code.rawValue] += 1
        handling?.observe(.zero)
    }

    private func code(_ call: ServerCall, _ end: ServerCallEnd) -> GRPCStatus.Code {
        if let mark = call.state as? StatusMark { return mark.code }
        switch end {
        case .finished: return .ok
        case .cancelled, .connectionLost: return .cancelled
        case .deadlineExceeded: return .deadlineExceeded
        }
    }
}

/// The code a call was finished with, as an object: calls carry one without an allocation.
private final class StatusMark: Sendable {
    let code: GRPCStatus.Code

    init(_ code: GRPCStatus.Code) {
        self.code = code
    }

    /// By the code's number.
    static let all = GRPCStatus.Code.allCases.map(StatusMark.init)
}

/// The counters of a door at one moment.
struct DoorSnapshot: Sendable {
    struct Method: Sendable {
        var method: EtcdMethods.Method
        var started: UInt64
        var handled: [UInt64]
        var received: UInt64
        var sent: UInt64
        var handling: DurationHistogram?
    }

    /// In the order of `EtcdMethods.all`.
    var methods: [Method]
    var receivedBytes: UInt64
    var sentBytes: UInt64
    var healthSuccesses: UInt64
    var healthFailures: UInt64
    var healthChecks: HealthCheckCounters
    var clients: ClientVersions
    var promotions: Promotions
    var events: UInt64
    var watchStreams: Int

    mutating func add(_ other: DoorSnapshot) {
        for index in methods.indices {
            methods[index].started += other.methods[index].started
            methods[index].received += other.methods[index].received
            methods[index].sent += other.methods[index].sent
            if let theirs = other.methods[index].handling { methods[index].handling?.add(theirs) }
            for code in methods[index].handled.indices {
                methods[index].handled[code] += other.methods[index].handled[code]
            }
        }
        receivedBytes += other.receivedBytes
        sentBytes += other.sentBytes
        healthSuccesses += other.healthSuccesses
        healthFailures += other.healthFailures
        healthChecks.add(other.healthChecks)
        clients.add(other.clients)
        promotions.add(other.promotions)
        events += other.events
        watchStreams += other.watchStreams
    }
}
