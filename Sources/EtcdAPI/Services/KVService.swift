import EtcdProto
import RegistryModel
import SwiftProtobuf

/// `etcdserverpb.KV`.
enum KVService {
    static let name = "etcdserverpb.KV"

    static let range = UnaryMethod(
        service: name, name: "Range",
        decode: { bytes, _ in .range(try Translation.rangeRequest(RangeRequestFields(protobuf: bytes))) },
        encode: { body, header, _ in
            guard case .range(let result) = body else { UnaryMethod.mismatch(body, "Range") }
            return KVResponseCodec.range(header: header, result: result)
        })

    static let put = UnaryMethod(
        service: name, name: "Put",
        decode: { bytes, _ in
            let request = try PutRequest(protobuf: bytes)
            try RequestValidation.check(request)
            return .write(.put(request))
        },
        encode: { body, header, _ in
            guard case .put(let previous) = body else { UnaryMethod.mismatch(body, "Put") }
            return KVResponseCodec.put(header: header, previous: previous)
        })

    static let deleteRange = UnaryMethod(
        service: name, name: "DeleteRange",
        decode: { bytes, _ in
            let message = try Etcdserverpb_DeleteRangeRequest(serializedBytes: bytes)
            return .write(.deleteRange(try Translation.deleteRangeRequest(message)))
        },
        encode: { body, header, _ in
            guard case .deleteRange(let deleted, let previous) = body else {
                UnaryMethod.mismatch(body, "DeleteRange")
            }
            var response = Translation.deleteRangeResponse(deleted: deleted, previous: previous)
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let txn = UnaryMethod(
        service: name, name: "Txn",
        decode: { bytes, options in
            let message = try Etcdserverpb_TxnRequest(serializedBytes: bytes)
            let request = try Translation.txnRequest(message, operationsMax: options.txnOperationsMax)
            guard request.isReadOnly else { return .write(.txn(request)) }
            return .readTxn(request, serializable: request.isSerializable)
        },
        encode: { body, header, _ in
            guard case .txn(let result) = body else { UnaryMethod.mismatch(body, "Txn") }
            return Translation.txnResponse(header: header, result: result).encoded
        })

    static let compact = UnaryMethod(
        service: name, name: "Compact",
        decode: { bytes, _ in
            let message = try Etcdserverpb_CompactionRequest(serializedBytes: bytes)
            return .write(.compact(Revision(message.revision)))
        },
        encode: { body, header, _ in
            guard case .compacted = body else { UnaryMethod.mismatch(body, "Compact") }
            var response = Etcdserverpb_CompactionResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let unary = [range, put, deleteRange, txn, compact]
}
