import AgentCore
import RegistryClient

extension RegistryFailure {
    /// What the agents make of a client's error. Whatever another attempt may cure is "unreachable".
    init(_ error: RegistryError) {
        switch error.code {
        case .leaseNotFound: self = .leaseNotFound
        case .unavailable, .noLeader, .leaderChanged, .deadlineExceeded, .cancelled, .closed, .malformedAnswer:
            self = .unreachable(error.description)
        default:
            // What a member passes on in the words of its own deadline, or with no words at all.
            let isVague = error.outcome == .unknown
            self = isVague ? .unreachable(error.description) : .refused(error.description)
        }
    }
}
