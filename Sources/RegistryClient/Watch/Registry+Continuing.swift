import NIOCore

extension Registry {
    /// Watches on from a known point of a history. When the registry that answers is not at or past that point of the
    /// same history, the watch ends with `.historyLost` before it delivers anything.
    ///
    /// - Parameters:
    ///   - clusterID: whose history it is.
    ///   - revision: known up to here; the first revision delivered is the next one.
    ///   - onEvent: called on `eventLoop`.
    package func watch(
        _ range: KeyRange, after revision: Int64, ofCluster clusterID: UInt64,
        onEvent: @escaping @Sendable (Watch.Event) -> Void
    ) -> Watch {
        var mark = HistoryMark()
        mark.note(ResponseHeader(clusterID: clusterID, revision: revision))
        let request = WatchRequest(range, fromRevision: revision + 1)
        let watching = Watching(
            request, cursor: WatchCursor(fromRevision: request.fromRevision, continuing: mark), core: core,
            onEvent: onEvent)
        let isTaken = core.enqueue { watching.start() }
        if !isTaken { onEvent(.ended(ClientCore.closedError)) }
        return Watch(watching)
    }
}
