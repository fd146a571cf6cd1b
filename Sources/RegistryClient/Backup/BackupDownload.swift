import EtcdProto
import GRPC
import NIOCore
import SwiftProtobuf

/// A part of a backup on its way from a member.
package struct BackupChunk: Sendable {
    package var bytes: [UInt8]
    /// Bytes that come after these; 0 in the last chunk.
    package var remaining: UInt64
}

/// One backup on its way from one member. What arrives before it is asked for is bounded by the stream's window.
package final class BackupDownload: LinkUser, @unchecked Sendable {
    // Everything but `core` is touched on the event loop only.
    private typealias Waiter = CheckedContinuation<Result<BackupChunk?, RegistryError>, Never>

    static let path = "/etcdserverpb.Maintenance/Snapshot"
    private let core: ClientCore
    private var arrived: [BackupChunk] = []
    private var hasLast = false
    private var end: Result<Void, RegistryError>?
    private var waiter: Waiter?
    private var stream: (any LinkStream)?
    private var link: LinkState?
    private var patience: Scheduled<Void>?

    fileprivate init(core: ClientCore) {
        self.core = core
    }

    /// The next part; nil after the last one.
    package func next() async throws(RegistryError) -> BackupChunk? {
        let result = await withCheckedContinuation { (continuation: Waiter) in
            if !core.enqueue({ self.ask(continuation) }) {
                continuation.resume(returning: .failure(ClientCore.closedError))
            }
        }
        return try result.get()
    }

    /// Gives the rest up; harmless when it is over.
    package func cancel() {
        core.enqueue { self.finish(.failure(RegistryError(.cancelled, "the caller gave up", statusCode: 1))) }
    }

    fileprivate func start() {
        core.enqueue {
            self.core.add(self)
            if let link = self.core.linkUp { return self.open(on: link) }
            self.patience = self.core.schedule(in: self.core.settings.dialTimeout) {
                self.finish(.failure(RegistryError(.unavailable, "no endpoint can be reached", statusCode: 14)))
            }
        }
    }

    private func ask(_ continuation: Waiter) {
        precondition(waiter == nil, "a part of a backup is asked for twice")
        if !arrived.isEmpty {
            let chunk = arrived.removeFirst()
            if arrived.isEmpty { stream?.resumeReading() }
            return continuation.resume(returning: .success(chunk))
        }
        guard let end else {
            waiter = continuation
            return
        }
        continuation.resume(returning: end.map { nil })
    }

    // MARK: LinkUser

    func linkUp(_ link: LinkState) { open(on: link) }

    func linkDown(_ link: LinkState, _ error: RegistryError) {
        guard self.link === link else { return }
        finish(.failure(error))
    }

    func clientClosed() { finish(.failure(ClientCore.closedError)) }

    // MARK: The stream

    private func open(on link: LinkState) {
        guard self.link == nil, end == nil else { return }
        patience?.cancel()
        self.link = link
        core.streamOpened(on: link)
        let stream = link.link.stream(Self.path, core.settings.metadata) { [weak self] bytes in
            self?.received(bytes)
        } ended: { [weak self] status in
            self?.streamEnded(status)
        }
        self.stream = stream
        // The request has no fields. The stream's sending side stays open: nothing else is ever sent on it.
        stream.send([])
    }

    private func received(_ bytes: [UInt8]) {
        guard end == nil, let link else { return }
        core.heard(link)
        let chunk: BackupChunk
        do {
            let response = try Etcdserverpb_SnapshotResponse(serializedBytes: bytes)
            chunk = BackupChunk(bytes: [UInt8](response.blob), remaining: response.remainingBytes)
        } catch {
            let text = "\(link.endpoint): a part of a backup cannot be read: \(error)"
            return finish(.failure(RegistryError(.malformedAnswer, text, statusCode: 13)))
        }
        hasLast = chunk.remaining == 0
        if let waiter {
            self.waiter = nil
            waiter.resume(returning: .success(chunk))
        } else {
            arrived.append(chunk)
            stream?.pauseReading()
        }
    }

    private func streamEnded(_ status: GRPCStatus) {
        guard end == nil, let link else { return }
        if status.isOK, hasLast { return finish(.success(())) }
        if status.isOK {
            let text = "\(link.endpoint): the backup ended before its last part"
            return finish(.failure(RegistryError(.unavailable, text, statusCode: 14)))
        }
        // Leaving the link tells us by `linkDown`.
        let (_, error) = core.streamFailed(status, on: link)
        finish(.failure(error))
    }

    private func finish(_ result: Result<Void, RegistryError>) {
        guard end == nil else { return }
        end = result
        patience?.cancel()
        stream?.cancel()
        stream = nil
        if let link { core.streamClosed(on: link) }
        core.remove(self)
        if case .failure = result { arrived = [] }
        waiter?.resume(returning: result.map { nil })
        waiter = nil
    }
}

extension Registry {
    /// Begins to fetch a backup from the member in use, over this client's connection; it is not begun again elsewhere.
    package func downloadBackup() -> BackupDownload {
        let download = BackupDownload(core: core)
        download.start()
        return download
    }
}
