import GRPC
import NIOCore
import RegistryModel

/// Begins a call: its handler, or nil when it is over already.
typealias CallOpening = (ServerCall) -> (any ServerCallHandler)?

extension EtcdFrontDoor: CallRouter {
    func open(_ call: ServerCall) -> (any ServerCallHandler)? {
        guard let opening = openings[call.path] else { return nil }
        return opening(call)
    }

    func hasService(_ name: String) -> Bool {
        EtcdMethods.services.contains(name)
    }

    func registerOpenings() {
        for counters in metrics.methods {
            // Refused by the layer below in its words, but counted.
            openings[counters.method.path] = { _ in
                counters.started += 1
                counters.refused(.unimplemented)
                return nil
            }
        }
        for method in EtcdMethods.served {
            registerUnary(method)
        }
        registerStream("/etcdserverpb.Watch/Watch") { [unowned self] call, counters, context in
            let stream = WatchStream(call: call, door: self, counters: counters)
            stream.number = watchReceivers.insert(.stream(stream))
            return stream
        }
        registerStream("/etcdserverpb.Lease/LeaseKeepAlive") { [unowned self] call, counters, context in
            KeepAliveStream(call: call, door: self, counters: counters, context: context)
        }
        registerStream("/etcdserverpb.Maintenance/Snapshot", onLearner: true) {
            [unowned self] call, counters, context in
            SnapshotStream(call: call, door: self, counters: counters, context: context)
        }
        for method in EtcdMethods.servedByProcedures {
            registerStream(method.path) { [unowned self] call, counters, context in
                ProcedureCall(call: call, door: self, method: method, counters: counters, context: context)
            }
        }
        registerLocal()
    }

    /// Calls that the door answers by itself, for anybody and in every state of the member.
    private func registerLocal() {
        register("/grpc.health.v1.Health/Watch") { [unowned self] call, counters in
            HealthWatch(call: call, door: self, counters: counters)
        }
        for service in ReflectionService.names {
            register("/\(service)/ServerReflectionInfo") { [unowned self] call, counters in
                ReflectionStream(call: call, door: self, counters: counters)
            }
        }
        register("/grpc.health.v1.Health/Check") { [unowned self] _, counters in
            UnaryCallHandler(
                request: { [unowned self] call, message in
                    metrics.received(message, counters)
                    switch HealthService.check(message) {
                    case .success(let answer):
                        metrics.sent(answer.count, counters)
                        call.send(answer)
                        counters.finish(call, .ok)
                    case .failure(let status):
                        counters.finish(call, status)
                    }
                },
                end: { call, end in counters.closed(call, end) })
        }
    }

    private func register(_ path: String, _ open: @escaping (ServerCall, MethodCounters) -> (any ServerCallHandler)?) {
        guard let counters = metrics[path] else {
            preconditionFailure("\(path) is missing in the list of methods")
        }
        openings[path] = { [unowned self] call in
            metrics.began(call, counters)
            if counters.handling != nil { call.openedAt = .now() }
            return open(call, counters)
        }
    }

    // MARK: Unary calls

    private func registerUnary(_ method: UnaryMethod) {
        var handler: UnaryCallHandler?
        register(method.path) { [unowned self] _, counters in
            if let handler { return handler }
            let made = UnaryCallHandler(
                request: { [unowned self] call, message in begin(call, message, method, counters) },
                end: { call, end in counters.closed(call, end) })
            handler = made
            return made
        }
    }

    private func begin(_ call: ServerCall, _ message: [UInt8], _ method: UnaryMethod, _ counters: MethodCounters) {
        metrics.received(message, counters)
        do throws(GRPCStatus) {
            let request = try request(method, from: message)
            if let refusal = refusal(of: call.metadata) { throw refusal }
            submit(request, context: context(of: call), waiting: .unary(call, method, counters, since: .now()))
        } catch {
            counters.finish(call, error)
        }
    }

    /// What the bytes ask for, if this member may be asked it.
    func request(_ method: UnaryMethod, from message: [UInt8]) throws(GRPCStatus) -> Request {
        let request = try method.request(from: message, options: options).get()
        guard !isLearner || request.isForLearners else {
            throw ErrorTable.status(Rejection(.notSupportedForLearner))
        }
        return request
    }

    /// What speaks against a call whatever it asks.
    private func refusal(of metadata: Metadata) -> GRPCStatus? {
        metadata.isText("client-api-version") ? nil : ErrorTable.invalidClientVersion
    }

    /// Answers a call; one that ended in the meantime needs nothing.
    func answer(_ call: ServerCall, _ method: UnaryMethod, _ counters: MethodCounters, _ reply: Reply) {
        if counters.isPromotion { metrics.promoted(reply.outcome) }
        guard call.isOpen else { return }
        switch reply.outcome {
        case .success(let body):
            let message = method.encode(body, header(reply), options)
            metrics.sent(message.count, counters)
            call.send(message)
            counters.finish(call, .ok)
        case .failure(let rejection):
            counters.finish(call, ErrorTable.status(rejection))
        }
    }

    // MARK: Streams and other calls with a handler of their own

    /// - Parameter onLearner: whether a learner serves it, too.
    private func registerStream(
        _ path: String, onLearner: Bool = false,
        _ make: @escaping (ServerCall, MethodCounters, RequestContext) -> any ServerCallHandler & EndableStream
    ) {
        register(path) { [unowned self] call, counters in
            let context = context(of: call)
            if let status = refusal(ofStream: call, context, onLearner: onLearner) {
                counters.refused(status.code)
                call.finish(status)
                return nil
            }
            let stream = make(call, counters, context)
            if context.requiresLeader, counters.method.kind != .unary { bindToLeader(stream) }
            return stream
        }
    }

    private func refusal(ofStream call: ServerCall, _ context: RequestContext, onLearner: Bool) -> GRPCStatus? {
        if isLearner, !onLearner { return ErrorTable.status(Rejection(.notSupportedForLearner)) }
        if let refusal = refusal(of: call.metadata) { return refusal }
        return knowsLeader || !context.requiresLeader ? nil : ErrorTable.status(Rejection(.noLeader))
    }

    // MARK: Context

    func context(of call: ServerCall) -> RequestContext {
        RequestContext(
            credential: credential(of: call), peer: call.connection.peerText,
            requiresLeader: call.metadata["hasleader"] == "true")
    }

    /// A token says more than a certificate. One without a CommonName names a user that has no rights.
    private func credential(of call: ServerCall) -> Credential {
        if let token = Self.token(in: call.metadata) { return credential(of: token) }
        guard options.usesCertificateNames, call.connection.hasVerifiedCertificate,
            call.metadata[GatewayCall.mark] == nil
        else { return .none }
        return .certificate(commonName: call.connection.certificateCommonName ?? "")
    }

    /// The token a request brings: `token`, or else `authorization`, of which a leading `Bearer ` is cut off.
    static func token(in metadata: Metadata) -> String? {
        guard let value = metadata["token"] ?? metadata["authorization"] else { return nil }
        let scheme = "Bearer "
        return value.hasPrefix(scheme) ? String(value.dropFirst(scheme.count)) : value
    }
}

extension Request {
    /// Whether a learner answers it; etcd's list. What a learner lacks it would otherwise have to ask the voters for.
    fileprivate var isForLearners: Bool {
        switch self {
        case .status: true
        case .range(let request): request.serializable
        default: false
        }
    }
}
