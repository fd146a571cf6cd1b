import Primitives
import RegistryModel
import Replica

/// Watchers of a scene's instances: a list first, then its changes, through any member, for ever.
extension World {
    private static let watcherRhythm = TimeSpan.milliseconds(250)

    func startWatchers(_ count: Int, slow: Bool, zones: [Int] = [0]) {
        scene.observes = true
        for turn in 0..<count {
            let number = scene.watchers.count
            scene.watchers.append(
                SceneWatcher(stream: UInt64(number) << 32, zone: zones[turn % zones.count], isSlow: slow))
            let at = now + .milliseconds(Int64(scene.draws.below(250)))
            queue.add(.scripted { world throws(Violation) in try world.watcherTicks(number) }, at: at)
        }
    }

    /// A watcher looks after its connection, and a slow one reads.
    private func watcherTicks(_ number: Int) throws(Violation) {
        queue.add(
            .scripted { world throws(Violation) in try world.watcherTicks(number) }, at: now + World.watcherRhythm)
        let watcher = scene.watchers[number]
        guard !watcher.isDead else { return }
        if watcher.isSlow, now >= watcher.readAgainAt {
            scene.watchers[number].readAgainAt = now + scene.draws.span(.milliseconds(500), .seconds(3))
            try watcherReads(number)
        }
        switch watcher.state {
        case .idle: try watcherLists(number)
        case .listing(let serial, let since):
            let isLost = watcher.member.map { !isServed($0, watcher.life, zone: watcher.zone) } ?? true
            guard isLost || now - since > .seconds(2) else { return }
            scene.giveUp(serial)
            try watcherLists(number)
        case .watching:
            guard let member = watcher.member, isServed(member, watcher.life, zone: watcher.zone) else {
                return try watcherResumes(number)
            }
        }
    }

    /// Its host loses power: what it knew is gone with it.
    func stopWatcher(_ number: Int) {
        scene.watchers[number].isDead = true
        scene.watchers[number].stream += 1
        scene.watchers[number].state = .idle
        scene.watchers[number].endpoints = []
        scene.watchers[number].unread = []
    }

    private func isServed(_ id: MemberID, _ life: UInt64, zone: Int) -> Bool {
        running(id, life) != nil && scene.reaches(zone: zone, id)
    }

    private func watcherDoor(_ number: Int) -> SimulatedMember? {
        let zone = scene.watchers[number].zone
        return scene.draws.pick(doors.filter { scene.reaches(zone: zone, $0.id) })
    }

    private func watcherLists(_ number: Int) throws(Violation) {
        guard let member = watcherDoor(number) else { return }
        scene.watchers[number].member = member.id
        scene.watchers[number].life = member.life
        guard let serial = try ask(.range(RangeRequest(range: Fleet.range)), .list(number), at: member),
            scene.isOpen(serial)
        else { return }
        scene.watchers[number].state = .listing(serial, since: now)
    }

    func watcherListed(
        _ number: Int, _ outcome: Result<ReplyBody, Rejection>, _ revision: Revision
    ) throws(Violation) {
        guard !scene.watchers[number].isDead else { return }
        guard case .success(.range(let range)) = outcome else {
            scene.watchers[number].state = .idle
            return
        }
        let keys = Set(range.kvs.map(\.key))
        for key in scene.watchers[number].endpoints.sorted() where !keys.contains(key) {
            watcherLoses(number, key, isDeleted: scene.fleet.number(of: key).map { scene.fleet[$0].goneAt != nil })
        }
        scene.watchers[number].endpoints = keys
        scene.watchers[number].next = revision.next
        scene.watchers[number].state = .watching
        scene.watchers[number].member = nil
        queue.add(.scripted { world throws(Violation) in try world.watcherResumes(number) }, at: now + scene.delay())
    }

    /// A stream at some member from the first unknown revision on.
    private func watcherResumes(_ number: Int) throws(Violation) {
        guard case .watching = scene.watchers[number].state, let member = watcherDoor(number) else { return }
        try checkList(of: number)
        scene.watchers[number].stream += 1
        scene.watchers[number].member = member.id
        scene.watchers[number].life = member.life
        scene.watchers[number].unread = []
        let stream = StreamID(sink: Scene.sink, number: scene.watchers[number].stream)
        let request = WatchRequest(range: Fleet.range, startRevision: scene.watchers[number].next)
        try ask(.watchCreate(stream, request), .watch(number), at: member)
    }

    func watcherHears(_ delivery: WatchDelivery) throws(Violation) {
        let number = Int(delivery.stream.number >> 32)
        guard scene.watchers.indices.contains(number), scene.watchers[number].stream == delivery.stream.number else {
            return
        }
        switch delivery.content {
        case .events(let events):
            scene.watchers[number].unread.append((delivery.revision, events))
            if !scene.watchers[number].isSlow { try watcherReads(number) }
        case .canceled:
            try checkList(of: number)
            scene.watchers[number].cancels += 1
            scene.watchers[number].state = .idle
            scene.watchers[number].unread = []
        case .progress:
            break
        }
    }

    /// Takes in everything that has arrived, and lets the member send more.
    private func watcherReads(_ number: Int) throws(Violation) {
        let unread = scene.watchers[number].unread
        guard !unread.isEmpty else { return }
        scene.watchers[number].unread = []
        var count = 0
        for (_, events) in unread {
            count += events.count
            if let first = events.first, first.kv.modRevision < scene.watchers[number].next {
                throw Violation(
                    .scenario,
                    "watcher \(number) of the scene got revision \(first.kv.modRevision.number) again, it knew "
                        + "everything before \(scene.watchers[number].next.number)", at: now)
            }
            for event in events { watcherSees(number, event) }
        }
        guard let id = scene.watchers[number].member,
            let (member, process) = running(id, scene.watchers[number].life)
        else { return }
        let stream = StreamID(sink: Scene.sink, number: scene.watchers[number].stream)
        let token = RequestToken(sink: Scene.sink, serial: 0)
        try step(member, process, [.request(.watchConsumed(stream, events: count), token, RequestContext())])
    }

    /// What a watcher knows is what was registered at the revision up to which it was told everything.
    func checkList(of number: Int) throws(Violation) {
        let watcher = scene.watchers[number]
        guard case .watching = watcher.state, !watcher.isDead, watcher.next > Revision(1) else { return }
        let revision = Revision(watcher.next.number - 1)
        let registered = Set(checks.history.model.live(in: Fleet.range, at: revision).map(\.key))
        guard let wrong = registered.symmetricDifference(watcher.endpoints).min() else { return }
        throw Violation(
            .scenario,
            "watcher \(number) of the scene \(registered.contains(wrong) ? "lacks" : "still has") \(wrong.text) "
                + "at revision \(revision.number)", at: now)
    }

    private func watcherSees(_ number: Int, _ event: KVEvent) {
        let revision = event.kv.modRevision
        scene.watchers[number].next = max(scene.watchers[number].next, revision.next)
        scene.watchers[number].events += 1
        if let committed = scene.commits[revision] { scene.watchers[number].latencies.append(now - committed) }
        if event.kind == .put {
            scene.watchers[number].endpoints.insert(event.kv.key)
        } else if scene.watchers[number].endpoints.remove(event.kv.key) != nil {
            watcherLoses(number, event.kv.key, isDeleted: true)
        }
    }

    private func watcherLoses(_ number: Int, _ key: Key, isDeleted: Bool?) {
        if isDeleted != true { scene.watchers[number].unexplained += 1 }
        guard let instance = scene.fleet.number(of: key), let ended = scene.fleet[instance].endedAt else { return }
        scene.watchers[number].stale.append(now - ended)
    }
}
