import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// `ganglion.v1.Registry`: what we tell beyond etcd's API. Each method is an ordinary request underneath, judged by the
/// same rights.
enum OwnService {
    static let name = "ganglion.v1.Registry"

    static let history = UnaryMethod(
        service: name, name: "History",
        decode: { bytes, _ in
            let message = try Ganglion_V1_HistoryRequest(serializedBytes: bytes)
            guard !message.key.isEmpty else { throw Rejection(.emptyKey) }
            return .history(
                KeyHistoryRequest(
                    key: Key([UInt8](message.key)), from: Revision(message.fromRevision), limit: message.limit))
        },
        encode: { body, header, _ in
            guard case .history(let history) = body else { UnaryMethod.mismatch(body, "History") }
            var response = Ganglion_V1_HistoryResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.entries = history.entries.map(Translation.historyEntry)
            response.more = history.more
            response.compactRevision = max(0, history.compactRevision.number)
            return response.encoded
        })

    static let brakeSet = UnaryMethod(
        service: name, name: "BrakeSet",
        decode: { bytes, _ in
            let message = try Ganglion_V1_BrakeSetRequest(serializedBytes: bytes)
            let prefix = try brakePrefix([UInt8](message.prefix))
            let text = Array((message.settings.isEmpty ? "on" : message.settings).utf8)
            if let complaint = BrakeSettings.read(text).complaint {
                throw GRPCStatus(.invalidArgument, "brake settings: \(complaint)")
            }
            let put = PutRequest(key: BrakeKeys.key(BrakeKeys.settings, of: prefix), value: text)
            guard message.onlyIfAbsent else { return .write(.put(put)) }
            let isAbsent = Comparison(range: .key(put.key), relation: .equal, target: .createRevision(.zero))
            return .write(.txn(TxnRequest(comparisons: [isAbsent], success: [.put(put)], failure: [])))
        },
        encode: { _, header, _ in
            var response = Ganglion_V1_BrakeSetResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let brakeStatus = UnaryMethod(
        service: name, name: "BrakeStatus",
        decode: { bytes, _ in
            _ = try Ganglion_V1_BrakeStatusRequest(serializedBytes: bytes)
            return .range(RangeRequest(range: .prefix(BrakeKeys.root)))
        },
        encode: { body, header, _ in
            guard case .range(let result) = body else { UnaryMethod.mismatch(body, "BrakeStatus") }
            var response = Ganglion_V1_BrakeStatusResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.brakes = Translation.brakes(result.kvs)
            return response.encoded
        })

    /// A put, so that it is replicated, and stands in the history with whoever did it.
    static let brakeRelease = ProcedureMethod(service: name, name: "BrakeRelease") { bytes, _ in
        let message = try Ganglion_V1_BrakeReleaseRequest(serializedBytes: bytes)
        let key = BrakeKeys.key(BrakeKeys.releases, of: try brakePrefix([UInt8](message.prefix)))
        let put = PutRequest(key: key, value: Array(message.reason.utf8))
        return AuthorizedProcedure(.root, then: .write(.put(put))) { _, header in
            var response = Ganglion_V1_BrakeReleaseResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        }
    }

    static let unary = [history, brakeSet, brakeStatus]
    static let procedures = [brakeRelease]

    private static func brakePrefix(_ bytes: [UInt8]) throws(Rejection) -> Key {
        if bytes.isEmpty { throw Rejection(.emptyKey) }
        return Key(bytes)
    }
}
