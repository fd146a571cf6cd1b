package import Primitives

/// Why a recovered log cannot be started from. The shell reports it and stops, or rebuilds.
package enum RestoreFailure: Error, Hashable, Sendable {
    /// The state machine ends before the log begins: entries between are gone.
    case gap(applied: LogIndex, base: LogIndex)
    /// The entries do not follow each other or the base; the index is that of the first misfit.
    case disordered(LogIndex)
    /// A configuration entry that cannot be read.
    case unreadableConfiguration(LogIndex)
}

extension RestoredLog {
    /// Checks that a member can start from this log with a state machine at `applied`.
    package func validate(applied: LogBase) throws(RestoreFailure) {
        guard applied.position.index >= base.position.index else {
            throw .gap(applied: applied.position.index, base: base.position.index)
        }
        var last = base.position
        for entry in entries {
            guard entry.index == last.index.next, entry.term >= last.term else { throw .disordered(entry.index) }
            last = entry.position
            if entry.kind == .configuration {
                do throws(DecodingFailure) {
                    _ = try ConfigurationEntry.decode(entry.payload)
                } catch {
                    throw .unreadableConfiguration(entry.index)
                }
            }
        }
    }

    func checked(applied: LogBase) -> Result<Void, RestoreFailure> {
        do throws(RestoreFailure) {
            return .success(try validate(applied: applied))
        } catch {
            return .failure(error)
        }
    }

    func contains(_ position: LogPosition) -> Bool {
        if position.index == base.position.index { return position == base.position }
        guard position.index > base.position.index else { return false }
        let offset = (position.index - base.position.index) - 1
        return offset < entries.count && entries[offset].term == position.term
    }
}
