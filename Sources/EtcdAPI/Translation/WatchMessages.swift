import EtcdProto
import RegistryModel

extension Translation {
    static func watchRequest(_ message: Etcdserverpb_WatchCreateRequest) -> WatchRequest {
        // Keys are never empty, so the zero byte is the first one there can be.
        let key = message.key.isEmpty ? [0] : [UInt8](message.key)
        var request = WatchRequest(
            range: KeyRange(key: key, rangeEnd: [UInt8](message.rangeEnd)),
            startRevision: Revision(message.startRevision),
            watchID: message.watchID == 0 ? nil : message.watchID)
        request.wantsPrevious = message.prevKv
        request.wantsPuts = !message.filters.contains(.noput)
        request.wantsDeletes = !message.filters.contains(.nodelete)
        request.progressNotify = message.progressNotify
        return request
    }
}
