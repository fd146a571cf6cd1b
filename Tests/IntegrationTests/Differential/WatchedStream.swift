import EtcdProto
import Foundation
import GRPC
import SwiftProtobuf
import Synchronization

/// A watch stream of one server, and what its watches have got so far, made comparable.
///
/// Normalisation "batches": how events are spread over messages depends on time; which events a watch gets, and in
/// which order, does not. So the events are kept by watch, and the rules that each message has to keep are checked here.
final class WatchedStream: Sendable {
    /// The stream's own watch of the mark: once a mark has come, so has all that was before it for caught-up watches.
    static let markWatch: Int64 = 1 << 50
    static let markKey = Data([0xFF, 0xFF] + Array("mark".utf8))

    static var markPut: Etcdserverpb_PutRequest {
        var request = Etcdserverpb_PutRequest()
        request.key = markKey
        return request
    }

    /// One thing a watch got.
    struct Item: Hashable, Sendable {
        var text: String
        /// Of a DELETE event, its revision.
        var deletion: Int64?
    }

    private struct State {
        var read = 0
        var answers: [Etcdserverpb_WatchResponse] = []
        var progress: [Etcdserverpb_WatchResponse] = []
        var items: [Int64: [Item]] = [:]
        /// The start revisions of the watches that were created and not canceled.
        var live: [Int64: Int64] = [:]
        /// Watches that were canceled because of a compaction.
        var compacted: Set<Int64> = []
        var latestMark: Int64 = 0
        var latestEvent: [Int64: Int64] = [:]
        var isHalfClosed = false
    }

    let recorded: RecordedStream
    let hasMark: Bool
    /// The token it was opened with; nil when there was none.
    let credential: String?
    private let reader: Names.Reader
    private let state = Mutex(State())

    init(
        _ recorded: RecordedStream, hasMark: Bool, credential: String? = nil, reader: @escaping Names.Reader
    ) {
        self.recorded = recorded
        self.hasMark = hasMark
        self.credential = credential
        self.reader = reader
    }

    // MARK: Requests

    /// Starts a watch and waits for the answer; nil when there is none in time.
    ///
    /// - Parameters:
    ///   - request: with the server's own numbers.
    ///   - start: the start revision as the sequence names it.
    func create(_ request: Etcdserverpb_WatchCreateRequest, start: Int64) async throws -> Etcdserverpb_WatchResponse? {
        let count = try read().answers.count
        var message = Etcdserverpb_WatchRequest()
        message.createRequest = request
        recorded.send(try message.serializedBytes())
        let answer = try await soon(seconds: 5) {
            let answers = try self.read().answers
            return answers.count > count ? answers[count] : nil
        }
        if let answer, !answer.canceled {
            state.withLock { if $0.live[answer.watchID] != nil { $0.live[answer.watchID] = start } }
        }
        return answer
    }

    func cancel(_ watch: Int64) throws {
        var message = Etcdserverpb_WatchRequest()
        message.cancelRequest.watchID = watch
        recorded.send(try message.serializedBytes())
    }

    /// Asks for progress and waits for the answer; nil when there is none in time.
    func progress() async throws -> Etcdserverpb_WatchResponse? {
        let count = try read().progress.count
        var message = Etcdserverpb_WatchRequest()
        message.progressRequest = Etcdserverpb_WatchProgressRequest()
        recorded.send(try message.serializedBytes())
        return try await soon(seconds: 3) {
            let answers = try self.read().progress
            return answers.count > count ? answers[count] : nil
        }
    }

    func halfClose() {
        state.withLock { $0.isHalfClosed = true }
        recorded.halfClose()
    }

    var isHalfClosed: Bool { state.withLock { $0.isHalfClosed } }

    // MARK: What came

    /// The watches that go on, with their start revisions.
    func live() throws -> [Int64: Int64] { try read().live }
    func latestMark() throws -> Int64 { try read().latestMark }
    func isCanceled(_ watch: Int64) throws -> Bool { try read().live[watch] == nil }

    /// Normalisation "compacted watch": etcd keeps the id of a watch that a compaction has ended until it is canceled,
    /// and answers that cancel once more.
    func isCompacted(_ watch: Int64) throws -> Bool { try read().compacted.contains(watch) }

    /// What each watch has got, in order, and how the stream has ended if it has.
    func log() throws -> [Int64: [Item]] {
        var items = try read().items
        items[Self.markWatch] = nil
        if let end = recorded.received.end { items[.min] = [Item(text: "stream ended: \(end)", deletion: nil)] }
        return items
    }

    private func read() throws -> State {
        try state.withLock { state in
            for bytes in recorded.messages(after: state.read) {
                state.read += 1
                Self.take(try reader(bytes), &state)
            }
            return state
        }
    }

    private static func take(_ response: Etcdserverpb_WatchResponse, _ state: inout State) {
        let watch = response.watchID
        if response.created {
            state.answers.append(response)
            if !response.canceled { state.live[watch] = 0 }
            // A later watch may have the id of one that was canceled.
            state.latestEvent[watch] = nil
        } else if response.canceled {
            state.live[watch] = nil
            if response.compactRevision != 0 { state.compacted.insert(watch) }
            state.items[watch, default: []].append(Item(text: response.readable, deletion: nil))
        } else if response.events.isEmpty {
            state.progress.append(response)
        } else {
            take(events: response, &state)
        }
    }

    private static func take(events response: Etcdserverpb_WatchResponse, _ state: inout State) {
        let watch = response.watchID
        func complain(_ what: String) {
            state.items[watch, default: []].append(Item(text: "wrong: \(what): \(response.readable)", deletion: nil))
        }
        if state.live[watch] == nil { complain("events of no watch") }
        if let first = response.events.first, first.kv.modRevision <= state.latestEvent[watch, default: 0] {
            complain("not after the event before")
        }
        var latest: Int64 = 0
        for event in response.events {
            if event.kv.modRevision < latest { complain("revisions do not ascend") }
            latest = event.kv.modRevision
            let item = Item(text: event.readable, deletion: event.type == .delete ? latest : nil)
            state.items[watch, default: []].append(item)
        }
        if response.header.revision < latest { complain("the header is older than an event") }
        state.latestEvent[watch] = latest
        if watch == markWatch { state.latestMark = latest }
    }
}

extension Names {
    /// Decodes a watch response and makes it comparable.
    typealias Reader = @Sendable ([UInt8]) throws -> Etcdserverpb_WatchResponse
}
