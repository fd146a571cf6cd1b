import EtcdProto
import Foundation
import GRPC
import NIOCore
import NIOPosix
import SwiftProtobuf
import Synchronization

/// One server while sequences are played on it.
final class Session: Sendable {
    /// `etcd` or `Ganglion`, for reports.
    let label: String
    /// Whether it is the server that is compared with.
    let isReference: Bool
    let connection: GRPCClientConnection
    private let state = Mutex(State())

    private struct State {
        var names = Names()
        var streams: [Int: WatchedStream] = [:]
        var waiters: [Int: Waiter] = [:]
        var leaders: [V3electionpb_LeaderKey] = []
        var tokens: [String: String] = [:]
        var pause = Duration.milliseconds(20)
    }

    init(_ label: String, _ member: Member, isReference: Bool = false) async throws {
        self.label = label
        self.isReference = isReference
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        connection = try await GRPCClientConnection.connect(host: member.host, port: 2379, on: loop).get()
    }

    deinit { connection.close() }

    // MARK: Calls

    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - credential: the name of a token kept before; an unknown one sends nonsense.
    func unary(
        _ path: String, _ message: [UInt8], credential: String? = nil
    ) async throws -> Result<[UInt8], GRPCStatus> {
        do {
            let answer = try await connection.unary(
                path: path, message: message, metadata: metadata(credential), timeout: .seconds(10))
            return .success(answer)
        } catch let status as GRPCStatus {
            guard status.code != .deadlineExceeded, status.code != .unavailable else {
                throw TestFailure("\(label) does not answer \(path): \(status)")
            }
            return .failure(status)
        }
    }

    /// Opens a streaming call.
    func open(_ path: String, credential: String? = nil) -> RecordedStream {
        RecordedStream(connection, path: path, metadata: metadata(credential))
    }

    private func metadata(_ credential: String?) -> Metadata {
        // Normalisation "idle tokens": 3.4.23 looks at tokens even while nobody asks for them.
        guard let credential, isAuthOn else { return Metadata() }
        return Metadata(["token": state.withLock { $0.tokens[credential] } ?? "no such token"])
    }

    /// Whether authentication is on, as far as the answers so far tell.
    var isAuthOn: Bool { state.withLock { $0.names.isAuthOn } }

    /// The credential of what the test itself asks: that of root while authentication is on.
    func administrator() async throws -> String? {
        guard isAuthOn else { return nil }
        let credential = "(administrator)"
        for password in AuthFamily.rootPasswords {
            var request = Etcdserverpb_AuthenticateRequest()
            request.name = "root"
            request.password = password
            let outcome = try await unary("/etcdserverpb.Auth/Authenticate", request.serializedBytes())
            guard case .success(let bytes) = outcome else { continue }
            keep(token: try Etcdserverpb_AuthenticateResponse(serializedBytes: bytes).token, as: credential)
            return credential
        }
        throw TestFailure("\(label) knows root by none of the passwords")
    }

    /// Keeps a token for calls that come with that credential.
    func keep(token: String, as credential: String) {
        state.withLock { $0.tokens[credential] = token }
    }

    /// Keeps the token that is sent for a credential at this moment under another name.
    ///
    /// - Returns: that name; nil when no token is sent.
    func held(_ credential: String?, as name: String) -> String? {
        guard let credential, isAuthOn else { return nil }
        state.withLock { $0.tokens[name] = $0.tokens[credential] }
        return name
    }

    /// Finds out whether authentication is on: a sequence on another member may have left it so.
    func learnAuthentication() async throws {
        let outcome = try await unary(
            "/etcdserverpb.Auth/UserList", Etcdserverpb_AuthUserListRequest().serializedBytes())
        let isOn = if case .failure = outcome { true } else { false }
        state.withLock { $0.names.isAuthOn = isOn }
    }

    // MARK: Names

    func renaming(_ direction: Renaming.Direction) -> Renaming {
        Renaming(names: state.withLock { $0.names }, direction: direction)
    }

    /// An answer as it is compared; what it teaches is known from then on.
    func comparable<Response: Replayable>(_ type: Response.Type, _ bytes: [UInt8]) throws -> Response {
        var response = try Response(serializedBytes: bytes)
        state.withLock { response.teach(&$0.names) }
        response.rename(renaming(.fromServer))
        return response
    }

    // MARK: Watch streams

    /// The stream with that number, if it is open.
    func stream(_ number: Int) -> WatchedStream? { state.withLock { $0.streams[number] } }

    func keep(_ stream: WatchedStream, as number: Int) {
        state.withLock { $0.streams[number] = stream }
    }

    func forget(_ number: Int) {
        state.withLock { $0.streams[number] = nil }
    }

    var openStreams: [(number: Int, stream: WatchedStream)] {
        state.withLock { state in state.streams.sorted { $0.key < $1.key }.map { (number: $0.key, stream: $0.value) } }
    }

    /// Waits until all watches that started in the past have passed it. etcd takes them along together, every tenth of
    /// a second: when another one that starts in the past has its event, so do they.
    func catchUp() async throws {
        guard try openStreams.contains(where: { try $0.stream.live().values.contains { $0 > 0 } }) else { return }
        let put = try await ask("KV/Put", WatchedStream.markPut)
        var request = Etcdserverpb_WatchRequest()
        request.createRequest.key = WatchedStream.markKey
        request.createRequest.startRevision = try Etcdserverpb_PutResponse(serializedBytes: put).header.revision
        let stream = open("/etcdserverpb.Watch/Watch", credential: try await administrator())
        stream.send(try request.serializedBytes())
        // That it was created, and the event.
        let event: Bool? = try await soon(seconds: 5) { stream.received.messages.count > 1 ? true : nil }
        stream.cancel()
        if event == nil { throw TestFailure("\(label) does not catch up with the mark") }
    }

    // MARK: Calls that wait

    /// For what leaves no trace by which to see that it has been done.
    func pause() async throws { try await Task.sleep(for: state.withLock { $0.pause }) }

    func pauseLonger() { state.withLock { $0.pause = .milliseconds(200) } }

    /// The calls that have not been answered yet, by their numbers.
    var waiters: [Waiter] { state.withLock { state in state.waiters.values.sorted { $0.number < $1.number } } }

    func keep(_ waiter: Waiter) { state.withLock { $0.waiters[waiter.number] = waiter } }
    func forget(waiter number: Int) { state.withLock { $0.waiters[number] = nil } }

    /// Keeps what a campaign has answered, as the sequence names it.
    func keep(leader: V3electionpb_LeaderKey) { state.withLock { $0.leaders.append(leader) } }

    /// What the campaign at that place has answered; nil when there were not so many.
    func leaderKey(_ place: Int) -> V3electionpb_LeaderKey? {
        state.withLock { $0.leaders.indices.contains(place) ? $0.leaders[place] : nil }
    }

    // MARK: Start of a sequence

    /// Leaves an empty store that is compacted up to its revision, and counts from there.
    func reset(_ families: [any CallFamily]) async throws {
        for (_, stream) in openStreams { stream.recorded.cancel() }
        try await Waiter.giveUpAll(on: self)
        state.withLock {
            $0.streams = [:]
            $0.waiters = [:]
            $0.leaders = []
            $0.tokens = [:]
        }
        for family in families { try await family.reset(self) }
        let listed = try await ask("Lease/LeaseLeases", Etcdserverpb_LeaseLeasesRequest())
        for lease in try Etcdserverpb_LeaseLeasesResponse(serializedBytes: listed).leases {
            var request = Etcdserverpb_LeaseRevokeRequest()
            request.id = lease.id
            // It may have expired meanwhile.
            _ = try await unary("/etcdserverpb.Lease/LeaseRevoke", request.serializedBytes())
        }
        var everything = Etcdserverpb_DeleteRangeRequest()
        everything.key = Data([0])
        everything.rangeEnd = Data([0])
        _ = try await ask("KV/DeleteRange", everything)
        // The compacted revision holds a key and no tombstone: of those, versions keep different ones.
        let put = try await ask("KV/Put", WatchedStream.markPut)
        let base = try Etcdserverpb_PutResponse(serializedBytes: put).header.revision
        var compaction = Etcdserverpb_CompactionRequest()
        compaction.revision = base
        _ = try await ask("KV/Compact", compaction)
        state.withLock { $0.names = Names(base: base) }
    }

    /// A call that must succeed.
    @discardableResult
    func ask(_ method: String, _ request: some SwiftProtobuf.Message) async throws -> [UInt8] {
        let credential = try await administrator()
        switch try await unary("/etcdserverpb.\(method)", request.serializedBytes(), credential: credential) {
        case .success(let bytes): return bytes
        case .failure(let status): throw TestFailure("\(label) refuses \(method): \(status)")
        }
    }
}
