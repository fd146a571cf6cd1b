import GRPC
import NIOCore

/// Noticing a member that is frozen or cut off without a word.
///
/// While something is awaited on the link and nothing comes, the member is asked for a sign of life: a call that any etcd
/// answers at once, not an HTTP/2 PING, because servers built with grpc-go end connections of clients that ping more often
/// than every five seconds.
extension ClientCore {
    func watchSilence() {
        guard monitor == nil, let link = linkUp, link.calls > 0 || link.streams > 0 else { return }
        let deadline = max(link.lastHeard, link.awaitingSince ?? .now()) + settings.keepaliveInterval
        monitor = schedule(at: deadline) { [weak self] in
            guard let self else { return }
            self.monitor = nil
            self.checkSilence()
        }
    }

    private func checkSilence() {
        guard let link = linkUp, link.calls > 0 || link.streams > 0 else { return }
        let since = max(link.lastHeard, link.awaitingSince ?? .now())
        if link.probe == nil, NIODeadline.now() - since >= settings.keepaliveInterval {
            probe(link)
        }
        if link.probe == nil { watchSilence() }
    }

    private func probe(_ link: LinkState) {
        let deadline = NIODeadline.now() + settings.keepaliveTimeout
        let timer = schedule(at: deadline) { [weak self] in self?.probeUnanswered(link) }
        link.probe = link.link.unary(ProtoRequests.healthPath, settings.metadata, [], deadline: .distantFuture) {
            [weak self] _ in
            // Whatever the answer is: had the link broken, its closing would say so.
            timer.cancel()
            link.probe = nil
            guard let self else { return }
            self.heard(link)
            self.watchSilence()
        }
    }

    private func probeUnanswered(_ link: LinkState) {
        guard let probe = link.probe else { return }
        link.probe = nil
        probe.cancel()
        // What came meanwhile, on any stream, is as good as an answer.
        if NIODeadline.now() - link.lastHeard < settings.keepaliveTimeout { return watchSilence() }
        let text = "\(link.endpoint): no sign of life for \(settings.keepaliveInterval + settings.keepaliveTimeout)"
        cutOff(link, RegistryError(.unavailable, text, statusCode: GRPCStatus.Code.unavailable.rawValue))
    }
}
