import GRPC
import RegistryModel

/// Something that only some callers may do: first asks the member whether this one may, then answers, perhaps after one
/// request more.
struct AuthorizedProcedure: Procedure {
    private enum State {
        /// To `authorizing`.
        case idle
        /// To `asking`, or over.
        case authorizing
        case asking
        case over
    }

    private let authority: Authority
    private let request: Request?
    private let answer: @Sendable (ReplyBody, HeaderFields) throws -> [UInt8]
    private var state = State.idle

    /// - Parameters:
    ///   - request: what is asked once the caller is known to be allowed; nil when that was all.
    ///   - answer: the response for the last reply. Throws what `ErrorTable.status(refusing:)` takes.
    init(
        _ authority: Authority, then request: Request?,
        answer: @escaping @Sendable (ReplyBody, HeaderFields) throws -> [UInt8]
    ) {
        self.authority = authority
        self.request = request
        self.answer = answer
    }

    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch (state, event) {
        case (.idle, .started):
            state = .authorizing
            return [.ask(.authorize(authority))]
        case (.authorizing, .answered(.success(let body), let header)):
            guard let request else { return finish(body, header) }
            state = .asking
            return [.ask(request)]
        case (.asking, .answered(.success(let body), let header)):
            return finish(body, header)
        case (.authorizing, .answered(.failure(let rejection), _)), (.asking, .answered(.failure(let rejection), _)):
            state = .over
            return [.finish(ErrorTable.status(rejection))]
        case (_, .abandoned):
            state = .over
            return [.finish(GRPCStatus(.cancelled))]
        case (.idle, _), (.authorizing, _), (.asking, _), (.over, _):
            return []
        }
    }

    private mutating func finish(_ body: ReplyBody, _ header: HeaderFields) -> [ProcedureEffect] {
        state = .over
        do {
            return ProcedureEffect.answer(try answer(body, header))
        } catch {
            return [.finish(ErrorTable.status(refusing: error))]
        }
    }
}
