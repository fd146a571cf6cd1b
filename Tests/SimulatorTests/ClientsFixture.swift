import Primitives
import Raft
import RegistryModel
import Testing

@testable import Simulator

/// A log by hand, and the judge that reads it.
struct HandMadeLog {
    var history: History
    var entries: [Entry] = []
    var now = Instant(nanoseconds: 1_000_000_000)

    init() {
        var options = SimulationOptions(seed: 1, members: 3)
        options.clockDriftMax = 0
        options.election = .milliseconds(300)
        history = History(options: options)
    }

    /// Commits a command of client request `serial`; nil: of a member.
    mutating func commit(
        _ operation: Command.Operation, serial: UInt64? = nil, by member: UInt64 = 1, term: UInt64 = 1,
        leader: UInt64? = 1
    ) throws(Violation) {
        let origin = Origin(
            member: MemberID(member), incarnation: Incarnation(1), serial: 1, peer: serial.map { "\($0)" } ?? "")
        let command = Command(wallMilliseconds: 0, origin: origin, operation: operation)
        let entry = Entry(
            index: history.lastIndex.next, term: Term(term), kind: .command, payload: command.encoded())
        try history.committed(entry, leader: leader.map { MemberID($0) }, at: now)
    }

    mutating func put(
        _ key: String, _ value: String = "v", lease: Int64 = 0, serial: UInt64? = nil
    ) throws(Violation) {
        var request = PutRequest(key: Key(key), value: Array(value.utf8))
        request.lease = LeaseID(lease)
        try commit(.put(request), serial: serial)
    }

    mutating func delete(_ key: String) throws(Violation) {
        try commit(.deleteRange(DeleteRangeRequest(range: .key(Key(key)))))
    }

    /// A request sent now, with everything committed so far behind it.
    func operation(_ request: Request, serial: UInt64 = 1, known: Int64 = 1) -> Operation {
        Operation(
            request: request, purpose: .look, client: 0, member: MemberID(1), life: 1, serial: serial, invokedAt: now,
            knownRevision: Revision(known), floor: history.model.revision, floorIndex: history.lastIndex,
            compactFloor: history.model.compactRevision)
    }

    mutating func answer(_ operation: Operation, _ body: ReplyBody, revision: Int64) throws(Violation) {
        try history.answered(operation, body, revision: Revision(revision), at: now)
    }

    /// What a member stores for the entries up to the last.
    func batch(_ changes: [StateChange], revision: Int64) -> StateBatch {
        var header = StateHeader.initial
        header.applied = LogPosition(index: history.lastIndex, term: Term(1))
        header.revision = Revision(revision)
        return StateBatch(header: header, changes: changes)
    }

    /// The row of an event of the model.
    func row(_ event: KVEvent) -> StateChange {
        .row(
            RevisionRow(
                kind: event.kind, kv: event.kv, sub: event.sub, commitTimeMilliseconds: 0,
                origin: Origin(member: MemberID(1), incarnation: Incarnation(1), serial: 1)))
    }

    func events(_ revision: Int64) -> [KVEvent] { history.model.events(of: Revision(revision)) }
}

/// Runs something that must break one invariant.
func expect(
    _ invariant: Invariant, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws(Violation) -> Void
) {
    do throws(Violation) {
        try body()
        Issue.record("nothing was found", sourceLocation: sourceLocation)
    } catch {
        #expect(error.invariant == invariant, "\(error)", sourceLocation: sourceLocation)
    }
}
