import GRPC
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
        registerStream("/etcdserverpb.Maintenance/Snapshot") { [unowned self] call, counters, _ in
            SnapshotStream(call: call, door: self, counters: counters)
        }
        for method in EtcdMethods.servedByProcedures {
            registerStream(method.path) { [unowned self] call, counters, context in
                ProcedureCall(call: call, door: self, method: method, counters: counters, context: context)
            }
        }
    }

    // MARK: Unary calls

    private func registerUnary(_ method: UnaryMethod) {
        guard let counters = metrics[method.path] else {
            preconditionFailure("\(method.path) is missing in the list of etcd's methods")
        }
        let handler = UnaryCallHandler(
            request: { [unowned self] call, message in begin(call, message, method, counters) },
            end: { call, end in counters.closed(call, end) })
        openings[method.path] = { _ in
            counters.started += 1
            return handler
        }
    }

    private func begin(_ call: ServerCall, _ message: [UInt8], _ method: UnaryMethod, _ counters: MethodCounters) {
        metrics.received(message, counters)
        switch method.request(from: message, options: options) {
        case .success(let request):
            submit(request, context: context(of: call), waiting: .unary(call, method, counters))
        case .failure(let status):
            counters.finish(call, status)
        }
    }

    /// Answers a call; one that ended in the meantime needs nothing.
    func answer(_ call: ServerCall, _ method: UnaryMethod, _ counters: MethodCounters, _ reply: Reply) {
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

    private func registerStream(
        _ path: String,
        _ make: @escaping (ServerCall, MethodCounters, RequestContext) -> any ServerCallHandler & EndableStream
    ) {
        guard let counters = metrics[path] else {
            preconditionFailure("\(path) is missing in the list of etcd's methods")
        }
        openings[path] = { [unowned self] call in
            counters.started += 1
            let context = context(of: call)
            guard knowsLeader || !context.requiresLeader else {
                let status = ErrorTable.status(Rejection(.noLeader))
                counters.refused(status.code)
                call.finish(status)
                return nil
            }
            let stream = make(call, counters, context)
            if context.requiresLeader, counters.method.kind != .unary { bindToLeader(stream) }
            return stream
        }
    }

    // MARK: Context

    func context(of call: ServerCall) -> RequestContext {
        RequestContext(
            peer: call.connection.peerText, requiresLeader: call.metadata["hasleader"] == "true")
    }
}
