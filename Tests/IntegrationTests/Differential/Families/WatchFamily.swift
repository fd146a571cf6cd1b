import EtcdProto
import Foundation
import Primitives
import SwiftProtobuf

extension Mvccpb_Event {
    mutating func rename(_ renaming: Renaming) {
        if hasKv { kv.rename(renaming) }
        if hasPrevKv { prevKv.rename(renaming) }
    }
}

extension Mvccpb_Event: Replayable {}

extension Etcdserverpb_WatchCreateRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.revision(&startRevision) }
}

extension Etcdserverpb_WatchResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        renaming.revision(&compactRevision)
        for place in events.indices { events[place].rename(renaming) }
    }
}

/// Watches from all starts, with all options, on up to three streams at a time; cancels, progress, half-close, and
/// closing of a stream, after which the next watch opens it again.
struct WatchFamily: CallFamily {
    let weight: UInt64 = 12
    private static let farIDs: Int64 = 500

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        let stream = Int(random.below(3))
        switch random.below(14) {
        case 0...7:
            plan.watches[stream] += 1
            return [create(&random, &plan, stream: stream)]
        case 8...10: return [WatchCancel(stream: stream, watch: watch(&random, plan.watches[stream]))]
        case 11: return [WatchProgress(stream: stream)]
        case 12: return [WatchClose(stream: stream)]
        default: return [WatchHalfClose(stream: stream)]
        }
    }

    private func watch(_ random: inout SeededGenerator, _ count: Int) -> Int64 {
        switch random.below(6) {
        case 0: random.one(of: [-1, 1, 5, 6])
        case 1: random.one(of: [0, 1]) + Self.farIDs
        default: random.within(0...Int64(count))
        }
    }

    private func create(_ random: inout SeededGenerator, _ plan: inout Plan, stream: Int) -> any Call {
        var request = Etcdserverpb_WatchCreateRequest()
        request.key = random.key()
        request.rangeEnd = random.oneIn(3) ? Data([0]) : random.rangeEnd(request.key)
        if random.oneIn(2) {
            request.startRevision = Names.revision(random.within(-2...(plan.revisions + 5)))
        } else if random.oneIn(16) {
            request.startRevision = random.one(of: [-1, .min, .max, 1])
        }
        if random.oneIn(4) { request.filters = [random.one(of: [.noput, .nodelete, .UNRECOGNIZED(4)])] }
        if random.oneIn(30) { request.filters = [.noput, .nodelete] }
        request.prevKv = random.oneIn(2)
        request.progressNotify = random.oneIn(6)
        request.fragment = random.oneIn(6)
        // Normalisation "compacted watch": an id that may stay taken is none that a server would choose.
        if random.oneIn(5) {
            request.watchID = watch(&random, plan.watches[stream]) + (request.startRevision == 0 ? 0 : Self.farIDs)
        }
        if request.startRevision < 0 {
            // 3.6 gives it no id: none may be taken from the others.
            plan.strangers += 1
            request.watchID = WatchCreate.strangers + plan.strangers
        }
        return WatchCreate(stream: stream, hasMark: stream < 2, request: request)
    }
}

/// Starts a watch, and its stream if that is not open.
struct WatchCreate: SentCall {
    /// From here on are the ids of watches that 3.6 refuses and 3.4.23 creates.
    static let strangers: Int64 = 1_000

    var stream: Int
    /// Whether the stream, when opened, gets a watch of the mark first.
    var hasMark: Bool
    var request: Etcdserverpb_WatchCreateRequest
    /// Who opens the stream, if it is not open.
    var credential: String?

    let kind = "Watch/Create"
    /// Whether the id is free may depend on what is on its way.
    var needsQuietWatches: Bool { request.watchID != 0 }
    var description: String {
        let sender = credential.map { " as \($0)" } ?? ""
        return "\(kind) on stream \(stream)\(hasMark ? "" : " (no mark)")\(sender) { \(request.readable) }"
    }

    func play(on session: Session) async throws -> Answer {
        let watched = try await open(session)
        guard !watched.isHalfClosed, try request.watchID == 0 || !watched.isCompacted(request.watchID) else {
            return Answer(status: "not sent")
        }
        // Normalisation "idle tokens": the stream has kept one.
        guard session.isAuthOn || watched.credential == nil else { return Answer(status: "not sent") }
        var message = request
        message.rename(session.renaming(.toServer))
        guard let answer = try await watched.create(message, start: request.startRevision) else {
            return Answer(status: "no answer", body: "\(watched.recorded.received.end.map { "\($0)" } ?? "")")
        }
        return Answer(body: answer.readable)
    }

    /// What a server says that refuses the watch because of its sender.
    func refused(with refusal: Answer, on session: Session) async throws -> Answer {
        // The stream is there afterwards.
        _ = try await open(session)
        var nothing = Etcdserverpb_RangeRequest()
        nothing.key = Data([0])
        let bytes = try await session.ask("KV/Range", nothing)
        var response = Etcdserverpb_WatchResponse()
        response.header = try session.comparable(Etcdserverpb_RangeResponse.self, bytes).header
        response.watchID = -1
        response.created = true
        response.canceled = true
        response.cancelReason = "rpc error: code = \(refusal.codeName) desc = \(refusal.text)"
        return Answer(body: response.readable)
    }

    private func open(_ session: Session) async throws -> WatchedStream {
        if let watched = session.stream(stream) { return watched }
        let sender = session.held(credential, as: "(stream \(stream))")
        let recorded = session.open("/etcdserverpb.Watch/Watch", credential: sender)
        let watched = WatchedStream(recorded, hasMark: hasMark, credential: sender) { [weak session] in
            guard let session else { throw TestFailure("the session is over") }
            return try session.comparable(Etcdserverpb_WatchResponse.self, $0)
        }
        session.keep(watched, as: stream)
        if hasMark {
            var mark = Etcdserverpb_WatchCreateRequest()
            mark.key = WatchedStream.markKey
            mark.watchID = WatchedStream.markWatch
            guard let answer = try await watched.create(mark, start: 0), !answer.canceled else {
                throw TestFailure("\(session.label) does not watch the mark")
            }
        }
        return watched
    }

    var simpler: [any Call] {
        guard let bytes: [UInt8] = try? request.serializedBytes() else { return [] }
        return WireFields.without(bytes, depth: 0).compactMap { bytes in
            guard let smaller = try? Etcdserverpb_WatchCreateRequest(serializedBytes: bytes) else { return nil }
            var call = self
            call.request = smaller
            return call
        }
    }
}

/// Ends a watch, if there is one with that id.
struct WatchCancel: Call {
    var stream: Int
    var watch: Int64

    let kind = "Watch/Cancel"
    let needsQuietWatches = true
    var description: String { "\(kind) of \(watch) on stream \(stream)" }

    func play(on session: Session) async throws -> Answer {
        guard let watched = session.stream(stream), !watched.isHalfClosed else { return Answer(status: "not sent") }
        guard try !watched.isCompacted(watch) else { return Answer(status: "not sent") }
        let exists = try !watched.isCanceled(watch)
        try watched.cancel(watch)
        guard exists else { return Answer(status: "sent") }
        let done: Bool? = try await soon(seconds: 3) { try watched.isCanceled(watch) ? true : nil }
        return Answer(status: done == nil ? "no answer" : "canceled")
    }
}

/// Asks for progress on a whole stream.
struct WatchProgress: Call {
    var stream: Int

    let kind = "Watch/Progress"
    let needsQuietWatches = true
    var description: String { "\(kind) on stream \(stream)" }

    func play(on session: Session) async throws -> Answer {
        guard let watched = session.stream(stream), !watched.isHalfClosed, watched.hasMark else {
            return Answer(status: "not sent")
        }
        // Normalisation "progress": 3.4.23 answers even then.
        let now = try watched.latestMark()
        guard try watched.live().values.allSatisfy({ $0 <= now }) else { return Answer(status: "not sent") }
        guard let answer = try await watched.progress() else { return Answer(status: "no answer") }
        return Answer(body: answer.readable)
    }
}

/// Says that no more requests follow; events go on.
struct WatchHalfClose: Call {
    var stream: Int

    let kind = "Watch/HalfClose"
    let needsQuietWatches = true
    var description: String { "\(kind) of stream \(stream)" }

    func play(on session: Session) async throws -> Answer {
        guard let watched = session.stream(stream), !watched.isHalfClosed else { return Answer(status: "not sent") }
        watched.halfClose()
        return Answer(status: "sent")
    }
}

/// Gives a whole stream up.
struct WatchClose: Call {
    var stream: Int

    let kind = "Watch/Close"
    let needsQuietWatches = true
    var description: String { "\(kind) of stream \(stream)" }

    func play(on session: Session) async throws -> Answer {
        guard let watched = session.stream(stream) else { return Answer(status: "not open") }
        session.forget(stream)
        watched.recorded.cancel()
        return Answer(status: "closed")
    }
}
