import GRPC
import NIOCore

/// Calls with one answer, over their attempts.
extension ClientCore {
    func submit(_ call: PendingCall) {
        guard !isClosed else { return call.finish(.failure(Self.closedError)) }
        call.timer = schedule(at: call.deadline) { [weak self] in self?.expire(call) }
        if let link {
            send(call, over: link)
        } else {
            waiting.append(call)
        }
    }

    /// The caller is no longer interested.
    func cancel(_ call: PendingCall) {
        let mayBeDone = call.attempt != nil && !call.traits.isRepeatable
        withdraw(call)
        call.finish(
            .failure(
                RegistryError(
                    .cancelled, "the caller gave up", outcome: mayBeDone ? .unknown : .notDone, statusCode: 1)))
    }

    private func expire(_ call: PendingCall) {
        guard !call.isDone else { return }
        let error = call.timeoutError()
        let link = call.link
        withdraw(call)
        call.finish(.failure(error))
        // Whoever does not answer in time is no good, even if it still answers signs of life.
        if let link { leave(link, error) }
    }

    private func withdraw(_ call: PendingCall) {
        waiting.removeAll { $0 === call }
        call.attempt?.cancel()
        if let link = call.link { attemptEnded(call, link) }
    }

    private func send(_ call: PendingCall, over link: LinkState) {
        var metadata = settings.metadata
        if call.traits.requiresLeader { metadata.add("hasleader", "true") }
        let sentAt = NIODeadline.now()
        call.link = link
        if link.calls == 0, link.streams == 0 { link.awaitingSince = sentAt }
        link.calls += 1
        underWay[ObjectIdentifier(call)] = call
        watchSilence()
        call.attempt = link.link.unary(call.traits.path, metadata, call.message, deadline: call.deadline) {
            [weak self] result in
            guard let self, !call.isDone, call.link === link else { return }
            self.attemptEnded(call, link)
            switch result {
            case .success(let bytes):
                self.workedWell(link)
                call.finish(.success((bytes, sentAt)))
            case .failure(let status):
                self.attemptFailed(call, status, link)
            }
        }
    }

    private func attemptEnded(_ call: PendingCall, _ link: LinkState) {
        underWay[ObjectIdentifier(call)] = nil
        call.attempt = nil
        call.link = nil
        link.calls -= 1
        closeIfDrained(link)
    }

    private func attemptFailed(_ call: PendingCall, _ status: GRPCStatus, _ link: LinkState) {
        let verdict = RetryPolicy.judge(status, kind: call.kind)
        if verdict.provesHealth { workedWell(link) }
        if verdict.leavesEndpoint { leave(link, verdict.error) }
        call.failures += 1
        call.lastError = verdict.error
        call.mayBeDone = call.mayBeDone || verdict.isUncertain
        guard verdict.repeats, !isClosed else { return call.finish(.failure(verdict.error)) }
        if verdict.leavesEndpoint {
            waiting.append(call)
            dispatchWaiting()
        } else {
            // The member is good, only the moment was not.
            schedule(in: pause(afterFailures: call.failures)) { [weak self] in
                guard let self, !call.isDone else { return }
                self.waiting.append(call)
                self.dispatchWaiting()
            }
        }
    }

    func dispatchWaiting() {
        guard let link else { return }
        let calls = waiting
        waiting = []
        for call in calls where !call.isDone {
            send(call, over: link)
        }
    }
}
