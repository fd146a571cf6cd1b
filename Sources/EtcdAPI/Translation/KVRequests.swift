import EtcdProto
import Primitives
import RegistryModel

/// Between wire messages and the model. Pure: no service, no clock.
enum Translation {
    static func rangeRequest(_ fields: RangeRequestFields) throws(Rejection) -> RangeRequest {
        var request = fields.request
        try RequestValidation.check(request)
        guard let order = RangeRequest.SortOrder(wire: fields.sortOrder),
            let target = RangeRequest.SortTarget(wire: fields.sortTarget)
        else { throw Rejection(.invalidSortOption) }
        request.sortOrder = order
        request.sortTarget = target
        return request
    }

    static func rangeRequest(_ message: Etcdserverpb_RangeRequest) throws(Rejection) -> RangeRequest {
        var fields = RangeRequestFields()
        fields.request.range = KeyRange(key: [UInt8](message.key), rangeEnd: [UInt8](message.rangeEnd))
        fields.request.limit = message.limit
        fields.request.revision = Revision(message.revision)
        fields.sortOrder = Int32(truncatingIfNeeded: message.sortOrder.rawValue)
        fields.sortTarget = Int32(truncatingIfNeeded: message.sortTarget.rawValue)
        fields.request.serializable = message.serializable
        fields.request.keysOnly = message.keysOnly
        fields.request.countOnly = message.countOnly
        fields.request.minModRevision = Revision(message.minModRevision)
        fields.request.maxModRevision = Revision(message.maxModRevision)
        fields.request.minCreateRevision = Revision(message.minCreateRevision)
        fields.request.maxCreateRevision = Revision(message.maxCreateRevision)
        return try rangeRequest(fields)
    }

    static func putRequest(_ message: Etcdserverpb_PutRequest) throws(Rejection) -> PutRequest {
        var request = PutRequest(key: Key([UInt8](message.key)), value: [UInt8](message.value))
        request.lease = LeaseID(message.lease)
        request.wantsPrevious = message.prevKv
        request.ignoreValue = message.ignoreValue
        request.ignoreLease = message.ignoreLease
        try RequestValidation.check(request)
        return request
    }

    static func deleteRangeRequest(
        _ message: Etcdserverpb_DeleteRangeRequest
    ) throws(Rejection) -> DeleteRangeRequest {
        var request = DeleteRangeRequest(
            range: KeyRange(key: [UInt8](message.key), rangeEnd: [UInt8](message.rangeEnd)))
        request.wantsPrevious = message.prevKv
        try RequestValidation.check(request)
        return request
    }
}

extension RangeRequest.SortOrder {
    init?(wire number: Int32) {
        guard let raw = UInt8(exactly: number) else { return nil }
        self.init(rawValue: raw)
    }
}

extension RangeRequest.SortTarget {
    init?(wire number: Int32) {
        guard let raw = UInt8(exactly: number) else { return nil }
        self.init(rawValue: raw)
    }
}
