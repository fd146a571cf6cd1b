import KVStore
import Primitives
import RegistryModel
package import Replica
package import Storage

/// What the reader lane does: whole trees on an O(1) copy, old revisions and watch history from the state store.
package final class ReadWork {
    private let directory: MemberDirectory
    private var reader: StateReader?
    /// Set when the state's files turned out to be damaged; for the state lane.
    package private(set) var damage: StorageError?

    package init(directory: MemberDirectory) {
        self.directory = directory
    }

    /// Never throws: a read that fails is an answer of its own.
    package func perform(_ work: ReadJob.Work) -> ReadOutcome {
        do throws(StateReadFailure) {
            switch work {
            case .rangeInMemory(let copy, let request):
                switch copy.range(request) {
                case .result(let result): return .range(.success(result))
                case .rejected(let rejection): return .range(.failure(rejection))
                case .needsHistory: return .range(.success(try opened().range(request)))
                }
            case .txnInMemory(let copy, let request), .txnInHistory(let copy, let request):
                return try transaction(copy, request)
            case .rangeInHistory(let request):
                return .range(.success(try opened().range(request)))
            case .hashOfHistory(let revision):
                return .hash(try opened().historyHash(through: revision))
            case .historyOfKey(let request):
                return .history(try opened().history(request))
            case .eventsInHistory(let range, let from, let through, let eventsMax, _):
                return try events(in: range, from: from, through: through, limit: eventsMax)
            }
        } catch {
            if case .storage(let failure) = error, failure.isDamage { damage = failure }
            return ReadWork.outcome(of: error)
        }
    }

    /// The database was replaced: the next read opens the new one.
    package func reopen() {
        reader?.close()
        reader = nil
    }

    package func close() {
        reopen()
    }

    private func opened() throws(StateReadFailure) -> StateReader {
        if let reader { return reader }
        do throws(StorageError) {
            let fresh = try directory.openReader()
            reader = fresh
            return fresh
        } catch {
            throw .storage(error)
        }
    }

    /// Ranges at old revisions one by one from the store; the rest, comparisons included, on the copy.
    private func transaction(_ copy: StoreReader, _ request: TxnRequest) throws(StateReadFailure) -> ReadOutcome {
        .txn(
            try copy.readTxn(request) { (range) throws(StateReadFailure) in
                try opened().range(range)
            })
    }

    private func events(
        in range: KeyRange, from: Revision, through: Revision, limit: Int
    ) throws(StateReadFailure) -> ReadOutcome {
        let revisions = try opened().events(in: range, from: from, through: through, limit: limit)
        var events: [KVEvent] = []
        for revision in revisions { events += revision.events }
        // A cut answer covers only what it holds; a whole one covers the empty rest as well.
        let covered = events.count >= limit ? revisions.last?.revision ?? through : through
        return .events(events, through: covered)
    }

    private static func outcome(of failure: StateReadFailure) -> ReadOutcome {
        switch failure {
        case .compacted(let revision): .compacted(revision)
        case .future: .range(.failure(Rejection(.futureRevision)))
        case .storage(let error): .failed("\(error)")
        }
    }
}
