package import Primitives

extension KeyRange {
    package func encode(into writer: inout ByteWriter) {
        writer.prefixed(start.bytes)
        switch end {
        case .single: writer.byte(0)
        case .unbounded: writer.byte(1)
        case .before(let bound):
            writer.byte(2)
            writer.prefixed(bound.bytes)
        }
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> KeyRange {
        let start = Key(try reader.prefixed("range.start"))
        switch try reader.byte("range.end") {
        case 0: return KeyRange(start: start, end: .single)
        case 1: return KeyRange(start: start, end: .unbounded)
        case 2: return KeyRange(start: start, end: .before(Key(try reader.prefixed("range.bound"))))
        default: throw .invalid("range.end")
        }
    }
}

extension PutRequest {
    func encode(into writer: inout ByteWriter) {
        writer.prefixed(key.bytes)
        writer.prefixed(value)
        writer.signed(lease.number)
        writer.byte((wantsPrevious ? 1 : 0) | (ignoreValue ? 2 : 0) | (ignoreLease ? 4 : 0))
    }

    static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> PutRequest {
        let key = Key(try reader.prefixed("put.key"))
        var request = PutRequest(key: key, value: try reader.prefixed("put.value"))
        request.lease = LeaseID(try reader.signed("put.lease"))
        let flags = try reader.byte("put.flags")
        guard flags < 8 else { throw .invalid("put.flags") }
        request.wantsPrevious = flags & 1 != 0
        request.ignoreValue = flags & 2 != 0
        request.ignoreLease = flags & 4 != 0
        return request
    }
}

extension DeleteRangeRequest {
    func encode(into writer: inout ByteWriter) {
        range.encode(into: &writer)
        writer.bool(wantsPrevious)
    }

    static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> DeleteRangeRequest {
        var request = DeleteRangeRequest(range: try KeyRange.decode(from: &reader))
        request.wantsPrevious = try reader.bool("delete.flags")
        return request
    }
}

extension RangeRequest {
    package func encode(into writer: inout ByteWriter) {
        range.encode(into: &writer)
        writer.signed(limit)
        writer.signed(revision.number)
        writer.byte(sortOrder.rawValue)
        writer.byte(sortTarget.rawValue)
        writer.byte((serializable ? 1 : 0) | (keysOnly ? 2 : 0) | (countOnly ? 4 : 0))
        for bound in [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision] {
            writer.signed(bound.number)
        }
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> RangeRequest {
        var request = RangeRequest(range: try KeyRange.decode(from: &reader))
        request.limit = try reader.signed("range.limit")
        request.revision = Revision(try reader.signed("range.revision"))
        guard let order = SortOrder(rawValue: try reader.byte("range.order")) else { throw .invalid("range.order") }
        guard let target = SortTarget(rawValue: try reader.byte("range.target")) else {
            throw .invalid("range.target")
        }
        request.sortOrder = order
        request.sortTarget = target
        let flags = try reader.byte("range.flags")
        guard flags < 8 else { throw .invalid("range.flags") }
        request.serializable = flags & 1 != 0
        request.keysOnly = flags & 2 != 0
        request.countOnly = flags & 4 != 0
        request.minModRevision = Revision(try reader.signed("range.minMod"))
        request.maxModRevision = Revision(try reader.signed("range.maxMod"))
        request.minCreateRevision = Revision(try reader.signed("range.minCreate"))
        request.maxCreateRevision = Revision(try reader.signed("range.maxCreate"))
        return request
    }
}

extension Comparison {
    func encode(into writer: inout ByteWriter) {
        range.encode(into: &writer)
        writer.byte(relation.rawValue)
        switch target {
        case .version(let value):
            writer.byte(0)
            writer.signed(value)
        case .createRevision(let value):
            writer.byte(1)
            writer.signed(value.number)
        case .modRevision(let value):
            writer.byte(2)
            writer.signed(value.number)
        case .value(let value):
            writer.byte(3)
            writer.prefixed(value)
        case .lease(let value):
            writer.byte(4)
            writer.signed(value.number)
        case .unknown:
            writer.byte(5)
        }
    }

    static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> Comparison {
        let range = try KeyRange.decode(from: &reader)
        guard let relation = Relation(rawValue: try reader.byte("compare.relation")) else {
            throw .invalid("compare.relation")
        }
        let target: Target
        switch try reader.byte("compare.target") {
        case 0: target = .version(try reader.signed("compare.version"))
        case 1: target = .createRevision(Revision(try reader.signed("compare.create")))
        case 2: target = .modRevision(Revision(try reader.signed("compare.mod")))
        case 3: target = .value(try reader.prefixed("compare.value"))
        case 4: target = .lease(LeaseID(try reader.signed("compare.lease")))
        case 5: target = .unknown
        default: throw .invalid("compare.target")
        }
        return Comparison(range: range, relation: relation, target: target)
    }
}

extension TxnRequest {
    /// Deeper nesting than any client can send within the operation limits.
    private static let depthMax = 130

    func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(comparisons.count))
        for comparison in comparisons { comparison.encode(into: &writer) }
        for branch in [success, failure] {
            writer.varint(UInt64(branch.count))
            for operation in branch { operation.encode(into: &writer) }
        }
    }

    static func decode(from reader: inout ByteReader, depth: Int) throws(DecodingFailure) -> TxnRequest {
        guard depth < depthMax else { throw .invalid("txn.depth") }
        var comparisons: [Comparison] = []
        for _ in 0..<(try reader.count("txn.comparisons")) {
            comparisons.append(try Comparison.decode(from: &reader))
        }
        let success = try branch(from: &reader, depth: depth)
        let failure = try branch(from: &reader, depth: depth)
        return TxnRequest(comparisons: comparisons, success: success, failure: failure)
    }

    private static func branch(
        from reader: inout ByteReader, depth: Int
    ) throws(DecodingFailure) -> [TxnOperation] {
        var operations: [TxnOperation] = []
        for _ in 0..<(try reader.count("txn.branch")) {
            operations.append(try TxnOperation.decode(from: &reader, depth: depth))
        }
        return operations
    }
}

extension TxnOperation {
    fileprivate func encode(into writer: inout ByteWriter) {
        switch self {
        case .range(let request):
            writer.byte(0)
            request.encode(into: &writer)
        case .put(let request):
            writer.byte(1)
            request.encode(into: &writer)
        case .deleteRange(let request):
            writer.byte(2)
            request.encode(into: &writer)
        case .txn(let request):
            writer.byte(3)
            request.encode(into: &writer)
        }
    }

    fileprivate static func decode(
        from reader: inout ByteReader, depth: Int
    ) throws(DecodingFailure) -> TxnOperation {
        switch try reader.byte("txn.operation") {
        case 0: return .range(try RangeRequest.decode(from: &reader))
        case 1: return .put(try PutRequest.decode(from: &reader))
        case 2: return .deleteRange(try DeleteRangeRequest.decode(from: &reader))
        case 3: return .txn(try TxnRequest.decode(from: &reader, depth: depth + 1))
        default: throw .invalid("txn.operation")
        }
    }
}

extension MemberDescription {
    package func encode(into writer: inout ByteWriter) {
        writer.fixed64(id.number)
        writer.prefixed(name)
        for urls in [peerURLs, clientURLs] {
            writer.varint(UInt64(urls.count))
            for url in urls { writer.prefixed(url) }
        }
        writer.byte((isLearner ? 1 : 0) | (promotesItself ? 2 : 0))
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> MemberDescription {
        let id = MemberID(try reader.fixed64("member.id"))
        let name = try reader.string("member.name")
        var lists: [[String]] = []
        for _ in 0..<2 {
            var urls: [String] = []
            for _ in 0..<(try reader.count("member.urls")) { urls.append(try reader.string("member.url")) }
            lists.append(urls)
        }
        let flags = try reader.byte("member.flags")
        guard flags < 4 else { throw .invalid("member.flags") }
        return MemberDescription(
            id: id, name: name, peerURLs: lists[0], clientURLs: lists[1], isLearner: flags & 1 != 0,
            promotesItself: flags & 2 != 0)
    }
}
