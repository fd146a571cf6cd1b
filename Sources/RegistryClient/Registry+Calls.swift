import NIOCore
import Synchronization

/// Requests with one answer. Each takes a time limit over all attempts (nil: the configuration's) and throws
/// `RegistryError`; cancelling the task gives the call up.
extension Registry {
    /// The pair at `key`, as of every write acknowledged before; nil when there is none.
    public func get(_ key: [UInt8], timeout: Duration? = nil) async throws(RegistryError) -> KeyValue? {
        try await range(RangeRequest(.key(key)), timeout: timeout).kvs.first
    }

    /// Reads an interval of keys.
    public func range(_ request: RangeRequest, timeout: Duration? = nil) async throws(RegistryError) -> RangeResult {
        try await perform(request, timeout: timeout)
    }

    /// Sets `key` to `value`.
    @discardableResult
    public func put(
        _ key: [UInt8], _ value: [UInt8], lease: LeaseID = .none, timeout: Duration? = nil
    ) async throws(RegistryError) -> PutResult {
        try await perform(PutRequest(key: key, value: value, lease: lease), timeout: timeout)
    }

    /// Sets one key.
    @discardableResult
    public func put(_ request: PutRequest, timeout: Duration? = nil) async throws(RegistryError) -> PutResult {
        try await perform(request, timeout: timeout)
    }

    /// Deletes an interval of keys.
    @discardableResult
    public func delete(_ request: DeleteRequest, timeout: Duration? = nil) async throws(RegistryError) -> DeleteResult {
        try await perform(request, timeout: timeout)
    }

    /// Runs a transaction. One without writes is repeated like a read.
    @discardableResult
    public func txn(_ request: TxnRequest, timeout: Duration? = nil) async throws(RegistryError) -> TxnResult {
        try await perform(request, timeout: timeout)
    }

    /// Forgets history.
    @discardableResult
    public func compact(
        _ request: CompactRequest, timeout: Duration? = nil
    ) async throws(RegistryError) -> ResponseHeader {
        try await perform(request, timeout: timeout)
    }

    /// Creates a lease. Repeated when the outcome of an attempt is unknown and `id` is `.none`: a lease that nobody knows
    /// of ends by itself.
    public func grantLease(
        ttlSeconds: Int64, id: LeaseID = .none, timeout: Duration? = nil
    ) async throws(RegistryError) -> LeaseGrantResult {
        try await perform(LeaseGrantRequest(ttlSeconds: ttlSeconds, id: id), timeout: timeout)
    }

    /// Ends a lease and deletes its keys. Repeated when the outcome of an attempt is unknown; if it turns out to have done
    /// the work, the header is all zero.
    @discardableResult
    public func revokeLease(_ id: LeaseID, timeout: Duration? = nil) async throws(RegistryError) -> ResponseHeader {
        try await perform(LeaseRevokeRequest(id: id), timeout: timeout)
    }

    /// How long a lease will still live, and with what.
    public func leaseTimeToLive(
        _ id: LeaseID, keys: Bool = false, timeout: Duration? = nil
    ) async throws(RegistryError) -> LeaseTimeToLiveResult {
        try await perform(LeaseTimeToLiveRequest(id: id, wantsKeys: keys), timeout: timeout)
    }

    /// All leases.
    public func leases(timeout: Duration? = nil) async throws(RegistryError) -> LeaseListResult {
        try await perform(LeaseListRequest(), timeout: timeout)
    }

    /// Renews a lease once.
    public func renewLease(
        _ id: LeaseID, timeout: Duration? = nil
    ) async throws(RegistryError) -> LeaseKeepAliveResult {
        try await perform(LeaseRenewRequest(id: id), timeout: timeout)
    }

    /// The members of the cluster.
    public func members(
        linearizable: Bool = true, timeout: Duration? = nil
    ) async throws(RegistryError) -> MemberListResult {
        try await perform(MemberListRequest(linearizable: linearizable), timeout: timeout)
    }

    /// How the member at `endpoint` is, over a connection of its own.
    public func status(of endpoint: Endpoint, timeout: Duration? = nil) async throws(RegistryError) -> StatusResult {
        let single = try single(endpoint)
        let result: Result<StatusResult, RegistryError>
        do {
            result = .success(try await single.perform(StatusRequest(), timeout: timeout))
        } catch {
            result = .failure(error)
        }
        await single.close()
        return try result.get()
    }

    // MARK: How it is done

    /// Sends a request.
    ///
    /// - Parameters:
    ///   - timeout: over all attempts; nil is the configuration's.
    ///   - completion: called once, on `eventLoop`, in a later turn; at once when the client is closed.
    /// - Returns: gives the call up when told so; from anywhere.
    @discardableResult
    package func call<Request: RegistryRequest>(
        _ request: Request, timeout: Duration? = nil,
        _ completion: @escaping @Sendable (Result<Request.Answer, RegistryError>) -> Void
    ) -> CallHandle {
        let handle = CallHandle(core: core)
        let isTaken = core.enqueue { [core] in
            guard !handle.isCancelled else {
                return completion(.failure(RegistryError(.cancelled, "the caller gave up", statusCode: 1)))
            }
            handle.call = core.perform(request, timeout: timeout.map { TimeAmount($0) }, completion)
        }
        if !isTaken { completion(.failure(ClientCore.closedError)) }
        return handle
    }

    func perform<Request: RegistryRequest>(
        _ request: Request, timeout: Duration?
    ) async throws(RegistryError) -> Request.Answer {
        let cancellation = Mutex<(handle: CallHandle?, isCancelled: Bool)>((nil, false))
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<_, Never>) in
                let handle = call(request, timeout: timeout) { continuation.resume(returning: $0) }
                let isCancelled = cancellation.withLock { state in
                    state.handle = handle
                    return state.isCancelled
                }
                if isCancelled { handle.cancel() }
            }
        } onCancel: {
            cancellation.withLock { state in
                state.isCancelled = true
                return state.handle
            }?.cancel()
        }
        return try result.get()
    }
}

/// Gives a call up.
package final class CallHandle: @unchecked Sendable {
    // Everything but `core` is touched on the event loop only.
    private let core: ClientCore
    fileprivate(set) var call: PendingCall?
    fileprivate(set) var isCancelled = false

    init(core: ClientCore) {
        self.core = core
    }

    /// The call's completion gets `.cancelled`, unless it has been called already.
    package func cancel() {
        core.enqueue {
            self.isCancelled = true
            if let call = self.call { self.core.cancel(call) }
        }
    }
}

extension ClientCore {
    /// Encodes, submits, decodes. The completion is called on the loop.
    @discardableResult
    func perform<Request: RegistryRequest>(
        _ request: Request, timeout: TimeAmount? = nil,
        _ completion: @escaping (Result<Request.Answer, RegistryError>) -> Void
    ) -> PendingCall? {
        let message: [UInt8]
        do {
            message = try request.encoded()
        } catch {
            completion(.failure(RegistryError(.invalidArgument, "cannot encode the request: \(error)", statusCode: 3)))
            return nil
        }
        let deadline = NIODeadline.now() + (timeout ?? settings.requestTimeout)
        weak var started: PendingCall?
        let call = PendingCall(request.traits, message, deadline: deadline) { result in
            switch result {
            case .success(let answer):
                completion(Self.decode(Request.self, answer))
            case .failure(let error):
                if started?.mayBeDone == true, let answer = request.isDone(by: error) {
                    completion(.success(answer))
                } else {
                    completion(.failure(error))
                }
            }
        }
        started = call
        submit(call)
        return call
    }

    private static func decode<Request: RegistryRequest>(
        _ type: Request.Type, _ answer: PendingCall.Answer
    ) -> Result<Request.Answer, RegistryError> {
        do {
            return .success(try Request.decoded(answer.bytes, sentAt: answer.sentAt))
        } catch {
            return .failure(
                RegistryError(.malformedAnswer, "cannot read the answer: \(error)", outcome: .unknown, statusCode: 13))
        }
    }
}
