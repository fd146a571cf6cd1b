import EtcdProto
import Foundation
import GRPC
import SwiftProtobuf

/// A call for a lock or an election that is on its way on one server.
///
/// Whether it must be answered is not left to time: its key is in the store like everybody's, and it has won when no
/// older one of that name is left.
struct Waiter: Sendable {
    let number: Int
    let isElection: Bool
    /// Of the keys of all that want the same, with the slash.
    let prefix: Data
    /// The lease as the server has it; 0 when the server grants one.
    let lease: Int64
    private(set) var stream: RecordedStream?
    /// When its key was created; 0 until that is known.
    private var revision: Int64 = 0

    private static let patience = 5.0
    /// Of an election: what its key will hold.
    private let value: Data?

    init(number: Int, isElection: Bool, name: Data, lease: Int64, value: Data? = nil) {
        self.number = number
        self.value = value
        self.isElection = isElection
        prefix = name + Data("/".utf8)
        self.lease = lease
    }

    private var key: Data { prefix + Data(String(lease, radix: 16).utf8) }

    /// Asks, and waits until it is answered or stands in the queue.
    func begin(_ path: String, _ message: [UInt8], on session: Session) async throws -> Answer {
        let wasThere = try await own(on: session) != nil
        let stream = session.open(path)
        stream.send(message)
        stream.halfClose()
        var waiter = self
        waiter.stream = stream
        let created: Int64? = try await soon {
            if stream.received.end != nil { return 0 }
            guard lease != 0, let mine = try await own(on: session) else { return nil }
            return value == nil || value == mine.value ? mine.createRevision : nil
        }
        guard let place = created else { return Answer(status: "neither answered nor in the queue") }
        waiter.revision = place
        // When it finds its key as it wants it, that leaves no trace.
        if wasThere { try await session.pause() }
        if place > 0, try await waiter.hasOlder(on: session) {
            session.keep(waiter)
            return Answer(status: "waits")
        }
        guard try await stream.ended(seconds: Self.patience) != nil else { return Answer(status: "not answered") }
        return try waiter.answer(on: session)
    }

    /// Whether the key has gone and another call has made it anew.
    func isReplaced(on session: Session) async throws -> Bool {
        guard let mine = try await own(on: session) else { return false }
        return mine.createRevision != revision
    }

    /// Takes the call back; whether the key has gone.
    func giveUp(on session: Session) async throws -> Bool {
        stream?.cancel()
        let gone: Bool? = try await soon { try await own(on: session) == nil ? true : nil }
        try await session.pause()
        return gone != nil
    }

    /// Takes all calls back that still wait.
    static func giveUpAll(on session: Session) async throws {
        guard !session.waiters.isEmpty else { return }
        for waiter in session.waiters { waiter.stream?.cancel() }
        try await session.pause()
    }

    /// What those calls are answered that need not wait any longer, and who waits on.
    static func answers(on session: Session) async throws -> String {
        var lines: [String] = []
        for waiter in session.waiters {
            guard let stream = waiter.stream else { continue }
            if try await waiter.hasOlder(on: session), stream.received.end == nil {
                lines.append("number \(waiter.number) waits")
                continue
            }
            session.forget(waiter: waiter.number)
            let isAnswered = try await stream.ended(seconds: patience) != nil
            let answer = try await isAnswered ? waiter.late(on: session) : Answer(status: "not answered")
            lines.append("number \(waiter.number): \(answer)")
        }
        return lines.joined(separator: "\n")
    }

    /// The answer to one that had to wait.
    private func late(on session: Session) async throws -> Answer {
        // Normalisations "expired session" and "vanished candidate": 3.4 does not look whether the key is still there
        // when its turn has come.
        if session.isReference, try await own(on: session)?.createRevision != revision {
            return Answer(status: "unknown, \"\(isElection ? "election: not leader" : "mutex: session is expired")\"")
        }
        return try answer(on: session)
    }

    private func answer(on session: Session) throws -> Answer {
        guard let received = stream?.received, let end = received.end else { return Answer(status: "no end") }
        guard end.isOK, let bytes = received.messages.first else { return Answer(end) }
        guard isElection else {
            return Answer(body: try session.comparable(V3lockpb_LockResponse.self, bytes).readable)
        }
        let response = try session.comparable(V3electionpb_CampaignResponse.self, bytes)
        session.keep(leader: response.leader)
        return Answer(body: response.readable)
    }

    // MARK: The queue

    /// Its key; nil when there is none.
    private func own(on session: Session) async throws -> Mvccpb_KeyValue? {
        var request = Etcdserverpb_RangeRequest()
        request.key = key
        return try await Self.range(request, on: session).first
    }

    private func hasOlder(on session: Session) async throws -> Bool {
        var request = Etcdserverpb_RangeRequest()
        request.key = prefix
        // The slash at its end makes way for what follows it.
        request.rangeEnd = prefix.dropLast() + Data("0".utf8)
        request.maxCreateRevision = revision - 1
        request.limit = 1
        return try await !Self.range(request, on: session).isEmpty
    }

    private static func range(
        _ request: Etcdserverpb_RangeRequest, on session: Session
    ) async throws -> [Mvccpb_KeyValue] {
        let bytes = try await session.ask("KV/Range", request)
        return try Etcdserverpb_RangeResponse(serializedBytes: bytes).kvs
    }

    /// Asks the server until there is an answer; nil when there is none in time.
    private func soon<Value>(_ look: () async throws -> Value?) async throws -> Value? {
        let deadline = now() + Self.patience
        while now() < deadline {
            if let value = try await look() { return value }
            try await Task.sleep(for: .milliseconds(1))
        }
        return nil
    }
}
