import Primitives
import RegistryModel
import Replica

/// Clients act and hear answers.
extension World {
    /// Client `number` begins its next operation, unless the last one is still open.
    func act(_ number: Int) throws(Violation) {
        try endOrphans()
        let up = members.filter { $0.process != nil && !$0.isAbsent }
        guard !clients.stopAfterCurrent else { return }
        guard let member = clients.draws.pick(up), let process = member.process else {
            queue.add(.client(number), at: now + .milliseconds(20))
            return
        }
        let operation = clients.begin(
            clients.next(number), client: number, at: member, now: now, known: checks.knownRevision)
        blackBox.began(operation, at: now)
        trace.note(now, 7, UInt64(number), operation.serial)
        var request = operation.request
        if case .write(.leaseGrant) = request {
            request = .write(.leaseGrant(.none, ttlMilliseconds: options.leaseTTLMilliseconds))
        }
        let token = RequestToken(sink: Clients.sink, serial: operation.serial)
        try step(member, process, [.request(request, token, RequestContext())])
    }

    func clientDelivery(_ delivery: Delivery, at member: SimulatedMember) throws(Violation) {
        guard case .reply(let serial, let reply) = delivery else { return }
        guard let operation = clients.end(serial) else {
            throw Violation(.answers, "m\(member.id.number) answered request \(serial) twice or unasked", at: now)
        }
        trace.note(now, 8, serial, UInt64(bitPattern: reply.revision.number))
        switch reply.outcome {
        case .success(let body):
            statistics.acknowledged += 1
            blackBox.answered(operation, body, revision: reply.revision, at: now)
            try checks.answered(operation, body, revision: reply.revision, at: now)
            remember(operation, body, reply.revision)
        case .failure(let rejection):
            statistics.refused += 1
            blackBox.refused(operation, rejection)
            try checks.refused(operation, rejection, at: now)
            if rejection.code == .leaseNotFound { clients.leases[operation.client] = nil }
        }
        queue.add(.client(operation.client), at: now + clients.pause())
    }

    /// Operations whose member died: carried out or not, nobody knows.
    func endOrphans() throws(Violation) {
        let orphans = clients.orphans
        clients.orphans = []
        for serial in orphans {
            guard let operation = clients.end(serial) else { continue }
            blackBox.lost(serial)
            statistics.unknown += 1
            queue.add(.client(operation.client), at: now + clients.pause())
        }
    }

    private func remember(_ operation: Operation, _ body: ReplyBody, _ revision: Revision) {
        switch (operation.kind, body) {
        case (.put(let key, _), .put):
            clients.seen[operation.client][key] = revision
        case (.compareAndPut(let key, _, _), .txn(let result)):
            if result.succeeded {
                clients.seen[operation.client][key] = revision
            } else if case .range(let range) = result.responses.first {
                clients.seen[operation.client][key] = range.kvs.first?.modRevision ?? .zero
            }
        case (.get(let key, _), .range(let range)):
            clients.seen[operation.client][key] = range.kvs.first?.modRevision ?? .zero
        case (.grant, .leaseGranted(let lease, _)):
            clients.leases[operation.client] = lease
        case (.keepAlive, .keptAlive(_, let ttl)) where ttl == 0:
            clients.leases[operation.client] = nil
        default:
            break
        }
    }
}
