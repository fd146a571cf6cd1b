import GRPC
import NIOCore

/// Many streams with a watch each over one prefix, and one writer below it. Confined to the loop.
///
/// A value begins with the instant at which its put was due, by this process's own clock: what is measured is the way
/// from there to each stream's event.
final class WatchRun {
    struct Plan: Sendable {
        var streams = 900
        /// Puts a second; nil: one after the other in a window.
        var rate: Double?
        var window = 8
        var valueBytes = 256
        var warmup = TimeAmount.seconds(1)
        var duration = TimeAmount.seconds(5)
        /// How long to wait for what is still under way at the end.
        var patience = TimeAmount.seconds(30)
    }

    private static let prefix = Array("bench/watch/".utf8)
    private static let end = Array("bench/watch0".utf8)

    private let fleet: Fleet
    private let plan: Plan
    private var begin = NIODeadline.distantFuture
    private var measured = NIODeadline.distantFuture..<NIODeadline.distantFuture
    private var latencies = Latencies()
    private var errors: [String: Int] = [:]
    private var streams: [Stream] = []
    private var created = 0
    private var sent = 0
    private var open = 0
    private var acknowledged = 0
    private var delivered = 0
    private var lastSeen = NIODeadline.uptimeNanoseconds(0)
    private var isOver = false
    private var isLookingAgain = false
    private let opened: EventLoopPromise<Void>
    private let promise: EventLoopPromise<Summary>

    private init(_ fleet: Fleet, _ plan: Plan) {
        self.fleet = fleet
        self.plan = plan
        opened = fleet.loop.makePromise()
        promise = fleet.loop.makePromise()
    }

    static func run(_ fleet: Fleet, _ plan: Plan) async throws -> Summary {
        let opened = try await fleet.loop.flatSubmit { () -> EventLoopFuture<NIOLoopBound<WatchRun>> in
            let run = WatchRun(fleet, plan)
            run.openSome()
            let bound = NIOLoopBound(run, eventLoop: fleet.loop)
            return run.opened.futureResult.map { bound }
        }.get()
        fleet.ready()
        return try await fleet.loop.flatSubmit {
            opened.value.start()
            return opened.value.promise.futureResult
        }.get()
    }

    /// The first connection is the writer's own where there are several.
    private var watching: ArraySlice<GRPCClientConnection> {
        fleet.connections.count > 1 ? fleet.connections.dropFirst() : fleet.connections[...]
    }

    private func openSome() {
        let connections = watching
        for _ in 0..<min(200, plan.streams - streams.count) {
            let stream = Stream(self)
            let connection = connections[connections.startIndex + streams.count % connections.count]
            let call = connection.open(path: Messages.watch, handler: stream)
            stream.call = call
            call.send(Messages.watchCreate(key: WatchRun.prefix, end: WatchRun.end))
            streams.append(stream)
        }
    }

    private func watchCreated() {
        created += 1
        guard created == streams.count else { return }
        if streams.count < plan.streams { openSome() } else { opened.succeed(()) }
    }

    private func start() {
        begin = fleet.loop.now
        measured = (begin + plan.warmup)..<(begin + plan.warmup + plan.duration)
        if plan.rate == nil {
            for _ in 0..<plan.window { putAgain() }
        } else {
            tick()
        }
    }

    // MARK: The writer

    private func tick() {
        guard let rate = plan.rate else { return }
        let now = fleet.loop.now
        // The first one is due at once, and the last ones are sent, too, by a tick that comes late.
        let due = Int(Double(min(now, measured.upperBound) - begin) * rate / 1e9) + 1
        while sent < due {
            put(due: begin + .nanoseconds(Int64(Double(sent) * 1e9 / rate))) { self.finishIfDone() }
        }
        guard now < measured.upperBound else { return finishIfDone() }
        fleet.loop.assumeIsolated().scheduleTask(in: .microseconds(500)) { self.tick() }
    }

    private func putAgain() {
        let now = fleet.loop.now
        guard now < measured.upperBound else { return finishIfDone() }
        put(due: now) { self.putAgain() }
    }

    private func put(due: NIODeadline, _ done: @escaping () -> Void) {
        let key = WatchRun.prefix + MessageSource.key(sent % 100)
        var value = withUnsafeBytes(of: due.uptimeNanoseconds.bigEndian) { Array($0) }
        value += [UInt8](repeating: UInt8(ascii: "v"), count: max(0, plan.valueBytes - value.count))
        sent += 1
        open += 1
        fleet.connections[0].unary(
            path: Messages.put, message: Messages.put(key: key, value: value), timeout: .seconds(30)
        ) { result in
            self.open -= 1
            switch result {
            case .success: self.acknowledged += self.measured.contains(due) ? 1 : 0
            case .failure(let status): self.errors["\(status.code): \(status.message)", default: 0] += 1
            }
            done()
        }
    }

    // MARK: The watches

    fileprivate func received(_ message: [UInt8], _ stream: Stream) {
        var response = Fields(message)
        while let field = response.next() {
            switch field.number {
            case 3 where field.value == 1: watchCreated()
            case 4 where field.value == 1: errors["watch cancelled", default: 0] += 1
            case 11: event(message, field.content)
            default: break
            }
        }
        if open == 0 { finishIfDone() }
    }

    private func event(_ message: [UInt8], _ content: Range<Int>) {
        var event = Fields(message, in: content)
        while let field = event.next() {
            guard field.number == 2 else { continue }
            var pair = Fields(message, in: field.content)
            while let part = pair.next() {
                guard part.number == 5, part.content.count >= 8 else { continue }
                let bytes = message[part.content].prefix(8)
                note(.uptimeNanoseconds(bytes.reduce(0) { $0 << 8 | UInt64($1) }))
            }
        }
    }

    private func note(_ due: NIODeadline) {
        delivered += 1
        guard measured.contains(due) else { return }
        let now = NIODeadline.now()
        latencies.record(now - due)
        lastSeen = now
    }

    fileprivate func ended(_ status: GRPCStatus) {
        errors["stream ended, \(status.code): \(status.message)", default: 0] += 1
        // Nothing happens where the load has begun: then the error stands in its summary.
        opened.fail(LoadFailure("a watch ended before the load began, \(status.code): \(status.message)"))
    }

    private func finishIfDone() {
        let now = fleet.loop.now
        guard !isOver, open == 0, now >= measured.upperBound else { return }
        let expected = acknowledged * plan.streams
        if latencies.count >= expected || now > measured.upperBound + plan.patience {
            finish(expected)
        } else if !isLookingAgain {
            // Looked at when something arrives, and now and then if nothing does.
            isLookingAgain = true
            fleet.loop.assumeIsolated().scheduleTask(in: .milliseconds(500)) {
                self.isLookingAgain = false
                self.finishIfDone()
            }
        }
    }

    private func finish(_ expected: Int) {
        isOver = true
        for stream in streams { stream.run = nil }
        for stream in streams { stream.call?.cancel() }
        let last = max(lastSeen, measured.upperBound)
        let seconds = Double(last - measured.lowerBound) / 1e9
        promise.succeed(
            Summary(latencies, operations: delivered, errors: errors, seconds: seconds, expected: expected))
    }

    fileprivate final class Stream: ClientCallHandler {
        var run: WatchRun?
        var call: ClientCall?

        init(_ run: WatchRun) { self.run = run }

        func messageReceived(_ message: [UInt8], _ call: ClientCall) { run?.received(message, self) }

        func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) { run?.ended(status) }
    }
}
