package import Primitives
package import RegistryModel

/// The replicated state machine: keys with their counters and recent history, leases, members, alarms,
/// users and roles.
///
/// A value: equal stores that are fed equal commands stay equal, on every member. Nothing here knows a clock, a random
/// number or another thread. A copy is O(1).
package struct RegistryStore: Sendable {
    var view: StoreReader
    var leaseTable: LeaseTable
    /// In id order.
    package internal(set) var members: [MemberDescription]
    /// Ids that must not come back, ascending.
    package internal(set) var removedMembers: [MemberID]
    /// Those that are up, in order of member and kind.
    package internal(set) var alarms: [Alarm]
    var authTable: AuthTable
    /// The last entry whose effects are in the state.
    package internal(set) var applied: LogPosition
    /// The highest command time seen.
    package internal(set) var wallMilliseconds: Int64
    var liveDigest = Digest128()
    var pastDigest: Digest128
    var configuration: [UInt8]

    /// An empty store at revision 1.
    package init(limits: StoreLimits = StoreLimits()) {
        view = StoreReader(
            tree: KeyTree(), revision: .initial, compactRevision: StateHeader.initial.compactRevision, limits: limits)
        leaseTable = LeaseTable()
        members = []
        removedMembers = []
        alarms = []
        authTable = AuthTable()
        applied = .zero
        wallMilliseconds = 0
        pastDigest = Digest128()
        configuration = []
    }

    /// What a state store gave back. The memory window starts empty at the restored revision.
    ///
    /// The live digest is verified, except for a header before the first entry: that is a bootstrap, whose members
    /// come with the configuration.
    ///
    /// - Throws: what is wrong with the state; then the state store must be rebuilt.
    package init(restoring state: RestoredState, limits: StoreLimits = StoreLimits()) throws(RestoreFailure) {
        try RegistryStore.checkOrder(of: state)
        let header = state.header
        var digest = Digest128()
        leaseTable = LeaseTable(ascending: state.leases)
        for pair in state.live {
            if pair.modRevision > header.revision { throw .revisionBeyondHeader(pair.key) }
            digest.add(RecordDigest.pair(pair))
            guard pair.lease != .none else { continue }
            if !leaseTable.attach(pair.key, to: pair.lease) { throw .deadLease(pair.key, pair.lease) }
        }
        for origin in state.leaseOrigins { leaseTable.setOrigin(origin.host, of: origin.lease) }
        for lease in state.leases { digest.add(RecordDigest.lease(lease)) }
        for member in state.members { digest.add(RecordDigest.member(member)) }
        for id in state.removedMembers { digest.add(RecordDigest.removedMember(id)) }
        for alarm in state.alarms { digest.add(RecordDigest.alarm(alarm)) }
        digest.add(RecordDigest.auth(state.auth))
        if header.applied != .zero, digest != header.liveDigest {
            throw .digestMismatch(stored: header.liveDigest, computed: digest)
        }
        view = StoreReader(
            tree: KeyTree(ascending: state.live.map { ($0.key, Record($0)) }), revision: header.revision,
            compactRevision: header.compactRevision, limits: limits)
        members = state.members
        removedMembers = state.removedMembers
        alarms = state.alarms
        authTable = AuthTable(state.auth)
        applied = header.applied
        wallMilliseconds = header.wallMilliseconds
        liveDigest = digest
        pastDigest = header.pastDigest
        configuration = header.configuration
    }

    /// What is wrong with a restored state, in words; nil when it can be used.
    package static func objection(to state: RestoredState, made: inout RegistryStore?) -> String? {
        do throws(RestoreFailure) {
            made = try RegistryStore(restoring: state)
            return nil
        } catch {
            return "the state contradicts itself: \(error)"
        }
    }

    private static func checkOrder(of state: RestoredState) throws(RestoreFailure) {
        for place in state.live.indices.dropFirst() where !(state.live[place - 1].key < state.live[place].key) {
            throw .keysUnsorted(state.live[place].key)
        }
        for place in state.leases.indices.dropFirst() where !(state.leases[place - 1].id < state.leases[place].id) {
            throw .leasesUnsorted(state.leases[place].id)
        }
        for place in state.members.indices.dropFirst() where !(state.members[place - 1].id < state.members[place].id) {
            throw .membersUnsorted(state.members[place].id)
        }
        let removed = state.removedMembers
        for place in removed.indices.dropFirst() where !(removed[place - 1] < removed[place]) {
            throw .membersUnsorted(removed[place])
        }
        let alarms = state.alarms
        for place in alarms.indices.dropFirst() where !(alarms[place - 1] < alarms[place]) {
            throw .alarmsUnsorted(alarms[place])
        }
        for names in [state.auth.users.map(\.name), state.auth.roles.map(\.name)] {
            for place in names.indices.dropFirst() where !(names[place - 1] < names[place]) {
                throw .authUnsorted(names[place])
            }
        }
    }

    // MARK: - What it is

    package var header: StateHeader {
        StateHeader(
            applied: applied, revision: revision, compactRevision: compactRevision,
            wallMilliseconds: wallMilliseconds, liveDigest: liveDigest, pastDigest: pastDigest,
            configuration: configuration)
    }

    /// Equal on all members that have applied the same entries.
    package var digest: Digest128 { header.digest }
    package var revision: Revision { view.revision }
    /// -1 before the first compaction.
    package var compactRevision: Revision { view.compactRevision }
    package var keyCount: Int { view.tree.count }
    /// Bytes of all live keys and values.
    package var liveBytes: Int { view.tree.totals.weight }

    /// In id order.
    package var leases: [LeaseRow] { leaseTable.rows }
    package var leaseCount: Int { leaseTable.count }

    /// The next leases in id order, at most `limit`, after `id` (nil: from the first).
    package func leases(after id: LeaseID?, limit: Int) -> [LeaseRow] {
        leaseTable.rows(after: id, limit: limit)
    }

    package func lease(_ id: LeaseID) -> LeaseRow? {
        leaseTable[id]
    }

    /// The keys attached to a lease, in key order; nil when there is no such lease.
    package func keys(of lease: LeaseID) -> [Key]? {
        leaseTable.keys(of: lease)
    }

    /// 0 when there is no such lease.
    package func keyCount(of lease: LeaseID) -> Int {
        leaseTable.keyCount(of: lease)
    }

    // MARK: - Reads

    /// What readers need, frozen: for another thread, or for later.
    package var reader: StoreReader { view }

    /// See `StoreReader.range`.
    package func range(_ request: RangeRequest) -> RangeAnswer {
        view.range(request)
    }

    /// See `StoreReader.readTxn`.
    package func readTxn(_ request: TxnRequest) -> TxnAnswer {
        view.readTxn(request)
    }

    /// Whether answering takes more than a moment: then take `reader` to a reader lane.
    package func isLarge(_ request: RangeRequest) -> Bool {
        view.isLarge(request)
    }

    /// As for a range.
    package func isLarge(_ request: TxnRequest) -> Bool {
        view.isLarge(request)
    }

    /// See `StoreReader.events`.
    package func events(
        in range: KeyRange, from: Revision, eventsMax: Int = 1_000, bytesMax: Int = 1 << 20, revisionsMax: Int = 2_000
    ) -> HistoryEvents? {
        view.events(in: range, from: from, eventsMax: eventsMax, bytesMax: bytesMax, revisionsMax: revisionsMax)
    }
}
