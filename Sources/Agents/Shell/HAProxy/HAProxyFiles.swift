import AgentCore

/// What synapse does with files and commands on behalf of HAProxy. Waits: never on an event loop.
enum HAProxyFiles {
    /// How long a check may take; one of a large file takes a second or two.
    static let checkLimitSeconds = 30
    /// How long a reload may take: the new worker has to load everything before the command returns.
    static let reloadLimitSeconds = 60

    static func write(_ text: String, path: String, candidatePath: String, checkCommand: String?) -> WriteResult {
        do {
            var refusal: String?
            try FileAccess.replace(path, with: Array(text.utf8), by: candidatePath) {
                guard let checkCommand else { return true }
                let outcome = ChildProcess.run(checkCommand, limitSeconds: checkLimitSeconds)
                if !outcome.succeeded { refusal = outcome.output }
                return outcome.succeeded
            }
            return refusal.map { .refused($0) } ?? .written
        } catch {
            return .failed(error.description)
        }
    }

    /// Nil when the state is saved.
    static func save(_ bytes: [UInt8], path: String) -> String? {
        do {
            try FileAccess.replace(path, with: bytes, by: path + ".tmp")
            return nil
        } catch {
            return error.description
        }
    }
}
