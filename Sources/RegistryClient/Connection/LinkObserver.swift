package import NIOCore

/// Keeps a connection up, and tells when one comes up after there was none for a while.
package final class LinkObserver: @unchecked Sendable {
    // Confined to the client's event loop.
    private let core: ClientCore
    private let onReturn: () -> Void
    private var downSince: NIODeadline?
    private let grace: TimeAmount

    fileprivate init(core: ClientCore, grace: TimeAmount, onReturn: @escaping @Sendable () -> Void) {
        self.core = core
        self.grace = grace
        self.onReturn = onReturn
    }

    fileprivate func start() {
        if core.linkUp == nil { downSince = .now() }
        core.add(self)
    }

    /// Ends it; nothing is told any more.
    package func cancel() {
        core.enqueue { self.core.remove(self) }
    }
}

extension LinkObserver: LinkUser {
    func linkUp(_ link: LinkState) {
        guard let downSince else { return }
        self.downSince = nil
        if downSince + grace <= .now() { onReturn() }
    }

    func linkDown(_ link: LinkState, _ error: RegistryError) {
        downSince = downSince ?? .now()
    }

    func clientClosed() {}
}

extension Registry {
    /// Keeps a connection to one of the members up until it is cancelled.
    ///
    /// - Parameters:
    ///   - grace: changes of members within this time are not told.
    ///   - onReturn: called on `eventLoop` when there is a connection again.
    package func observeLinks(grace: TimeAmount, onReturn: @escaping @Sendable () -> Void) -> LinkObserver {
        let observer = LinkObserver(core: core, grace: grace, onReturn: onReturn)
        core.enqueue { observer.start() }
        return observer
    }
}
