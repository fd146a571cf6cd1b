import GRPC
import RegistryModel

/// A call that takes more than one request to the member, as a state machine: what happened goes in, what is to be
/// done comes out. Pure: the shell (`ProcedureRun`) submits, watches and sends.
protocol Procedure: Sendable {
    /// - Returns: in order; after `finish` nothing follows, and later events are ignored.
    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect]
}

enum ProcedureEvent: Sendable {
    case started
    /// The answer to the one request asked last, and the header of an answer that shows it.
    case answered(Result<ReplyBody, Rejection>, HeaderFields)
    /// Events of the one watch that is open.
    case changed([KVEvent], HeaderFields)
    /// The open watch ended because its next revision was compacted away.
    case watchLost
    /// The watch asked for was not opened.
    case watchRefused(Rejection)
    /// What came of the one work with a password.
    case computed(PasswordOutcome)
    /// The caller is gone: nobody reads what is sent from now on.
    case abandoned
}

enum ProcedureEffect: Sendable {
    /// Submit this; `answered` follows. Never more than one at a time, and always the last effect of a step.
    case ask(Request)
    /// Submit this in the member's own name, whatever has become of the caller's token and rights; its outcome does not
    /// matter. Only for taking back what the caller was allowed to do.
    case order(Request)
    /// Watch from a revision on, inclusive. Never more than one at a time.
    case watch(KeyRange, from: Revision, wantsPuts: Bool)
    case unwatch
    /// Let the password lane do this; `computed` follows. Never more than one at a time, and the last effect of a step.
    case compute(PasswordWork)
    /// Send one message to the caller.
    case send([UInt8])
    case finish(GRPCStatus)
}

extension ProcedureEffect {
    /// The last message and a good end.
    static func answer(_ message: [UInt8]) -> [ProcedureEffect] {
        [.send(message), .finish(.ok)]
    }
}

/// One method that a procedure serves.
struct ProcedureMethod: Sendable {
    /// Fully qualified, such as `v3lockpb.Lock`.
    let service: String
    let name: String
    let kind: MethodKind
    /// From the request message's bytes. Throws a `Rejection`, a `WireFailure` or SwiftProtobuf's decoding error.
    let make: @Sendable ([UInt8], EtcdDoorOptions) throws -> any Procedure

    var path: String { "/\(service)/\(name)" }

    init(
        service: String, name: String, kind: MethodKind = .unary,
        make: @escaping @Sendable ([UInt8], EtcdDoorOptions) throws -> any Procedure
    ) {
        self.service = service
        self.name = name
        self.kind = kind
        self.make = make
    }

    /// The procedure, or the status that answers the call at once.
    func procedure(from bytes: [UInt8], options: EtcdDoorOptions) -> Result<any Procedure, GRPCStatus> {
        do {
            guard bytes.count <= options.requestBytesMax else { throw Rejection(.requestTooLarge) }
            return .success(try make(bytes, options))
        } catch {
            return .failure(ErrorTable.status(refusing: error))
        }
    }
}
