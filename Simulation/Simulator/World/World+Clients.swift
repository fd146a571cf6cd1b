import KVStore
import Primitives
import RegistryModel
import Replica

/// Events of clients and watchers.
enum LoadEvent {
    /// A request reaches its member.
    case arrive(UInt64)
    /// A client has waited long enough.
    case giveUp(UInt64)
    /// A watch stream acts.
    case watcher(Int)
    /// A watch stream's reader has read; of the connection with this number.
    case read(Int, UInt64)
    case grantMany
}

/// Clients act.
extension World {
    func handle(_ event: LoadEvent) throws(Violation) {
        switch event {
        case .arrive(let serial): try arrive(serial)
        case .giveUp(let serial): giveUp(serial)
        case .watcher(let number): try actWatcher(number)
        case .read(let stream, let number): try watcherRead(stream, number)
        case .grantMany: try grantMany()
        }
    }

    /// What begins beside the clients' own turns.
    func startLoad() {
        startWatchers()
        guard options.load.massLeases > 0 else { return }
        var draws = SeededGenerator(seed: options.seed, purpose: "mass leases")
        let half = TimeSpan(nanoseconds: options.duration.nanoseconds / 2)
        queue.add(.load(.grantMany), at: now + .seconds(1) + draws.span(.zero, half))
    }

    /// Nothing goes wrong any longer, and somebody leads: from now on what was promised must come in time.
    func loadIsCalm() throws(Violation) {
        checks.history.leases.calmSince = now
        if options.load.massLeases > 0 { try grantMany() }
    }

    var view: WorldView {
        WorldView(
            known: checks.knownRevision, revision: checks.history.model.revision,
            compactRevision: checks.history.model.compactRevision, index: checks.history.lastIndex)
    }

    /// Client `number` begins its next operation.
    func act(_ number: Int) throws(Violation) {
        try endOrphans()
        guard !clients.stopAfterCurrent, clients.waiting[number] == nil else { return }
        if let pause = clients.fault(number) {
            queue.add(.client(number), at: now + pause)
            return
        }
        let up = members.filter { $0.process != nil && !$0.isAbsent }
        guard let member = clients.draws.pick(up) else {
            queue.add(.client(number), at: now + .milliseconds(20))
            return
        }
        try useResource(number)
        let wish = clients.next(number, at: now, view: view)
        let serial = begin(wish, client: number, at: member)
        clients.waiting[number] = serial
        queue.add(.load(.giveUp(serial)), at: now + options.load.patience)
        try travel(serial)
    }

    func begin(_ wish: Wish, client: Int, at member: SimulatedMember) -> UInt64 {
        let operation = clients.begin(wish, client: client, at: member, now: now, view: view)
        blackBox.began(operation, at: now)
        trace.note(now, 7, UInt64(client), operation.serial)
        return operation.serial
    }

    private func travel(_ serial: UInt64) throws(Violation) {
        let delay = clients.delay()
        if delay > .zero {
            queue.add(.load(.arrive(serial)), at: now + delay)
        } else {
            try arrive(serial)
        }
    }

    /// The client signs its request where its address stands: so the log tells which request an entry is.
    private func arrive(_ serial: UInt64) throws(Violation) {
        guard let place = clients.open[serial] else { return }
        guard let (member, process) = running(place.member, place.life) else { return try lose(serial) }
        let operation = clients.arrive(
            serial, revision: process.replica.store.revision, compactRevision: process.replica.store.compactRevision)
        guard let operation else { return }
        let token = RequestToken(sink: Clients.sink, serial: serial)
        try step(member, process, [.request(operation.request, token, RequestContext(peer: "\(serial)"))])
    }

    /// Hundreds of leases at one member, to end together.
    private func grantMany() throws(Violation) {
        let up = members.filter { $0.process != nil && !$0.isAbsent }
        guard let member = clients.draws.pick(up), let process = member.process else { return }
        trace.line(now, .member(member.id), .client, "is asked for \(options.load.massLeases) leases")
        var requests: [ReplicaEvent] = []
        for place in 0..<options.load.massLeases {
            let wish = clients.massWish(place)
            let serial = begin(wish, client: 0, at: member)
            let token = RequestToken(sink: Clients.sink, serial: serial)
            requests.append(.request(wish.request, token, RequestContext(peer: "\(serial)")))
        }
        try step(member, process, requests)
    }

    /// Every fourth of them gets a key.
    func useMassLease(_ lease: LeaseID, _ place: Int, at member: SimulatedMember) {
        guard place % 4 == 0 else { return }
        var put = PutRequest(key: Key("mass/\(place)"), value: clients.token(0))
        put.lease = lease
        let wish = Wish(request: .write(.put(put)), purpose: .mass(-1))
        let serial = begin(wish, client: 0, at: member)
        queue.add(.load(.arrive(serial)), at: now + .microseconds(100))
    }

    /// The holder of a lock, or who believes to be it, uses what the lock protects. The resource looks at the token.
    private func useResource(_ number: Int) throws(Violation) {
        guard number < options.load.lockers, let token = clients.memories[number].lock?.token else { return }
        // Some look at their clock first; a pause between the look and the use is what tokens are for.
        guard clients.believes(number, at: now) || clients.draws.chance(1, in: 2) else { return }
        let holder = checks.history.model.current(Clients.lock)?.createRevision
        if token >= clients.resourceToken {
            clients.resourceToken = token
        } else if holder == token {
            throw Violation(
                .fencing,
                "client \(number) holds the lock with token \(token.number), and the resource has seen "
                    + "\(clients.resourceToken.number)", at: now)
        } else {
            clients.fenced += 1
        }
    }
}
