import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// One unary method: how the bytes of its request become a `Request`, and how an answer becomes bytes.
struct UnaryMethod: Sendable {
    /// Fully qualified, such as `etcdserverpb.KV`.
    let service: String
    let name: String
    /// Throws a `Rejection`, a `WireFailure` or SwiftProtobuf's decoding error.
    let decode: @Sendable ([UInt8], EtcdDoorOptions) throws -> Request
    let encode: @Sendable (ReplyBody, HeaderFields, EtcdDoorOptions) -> [UInt8]

    var path: String { "/\(service)/\(name)" }

    /// The request, or the status that answers it at once.
    func request(from bytes: [UInt8], options: EtcdDoorOptions) -> Result<Request, GRPCStatus> {
        do {
            let request = try decode(bytes, options)
            if case .write = request, bytes.count > options.requestBytesMax {
                throw Rejection(.requestTooLarge)
            }
            return .success(request)
        } catch {
            return .failure(ErrorTable.status(refusing: error))
        }
    }

    /// An answer of another method's kind: the core mixed up its requests.
    static func mismatch(_ body: ReplyBody, _ method: StaticString) -> Never {
        preconditionFailure("\(method) was answered with \(body)")
    }
}

extension ErrorTable {
    /// The status for what `UnaryMethod.decode` and `ProcedureMethod.make` throw.
    static func status(refusing error: any Error) -> GRPCStatus {
        switch error {
        case let rejection as Rejection: status(rejection)
        case let failure as WireFailure: status(failure)
        case let status as GRPCStatus: status
        default: status(WireFailure(message: "\(error)"))
        }
    }
}

extension Message {
    /// Encodes a message whose every field is optional, which cannot fail.
    var encoded: [UInt8] {
        do {
            return try serializedBytes()
        } catch {
            preconditionFailure("\(Self.self) cannot be encoded: \(error)")
        }
    }
}
