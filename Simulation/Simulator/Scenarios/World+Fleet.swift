import Primitives
import RegistryModel
import Replica

/// Instances live and die.
extension World {
    /// Starts instances evenly over a time; they spread over the zones.
    func startInstances(_ count: Int, service: String, ttl: TimeSpan, over: TimeSpan, zones: [Int] = [0]) {
        scene.observes = true
        for turn in 0..<count {
            let at = now + over * Int64(turn) / Int64(max(count, 1))
            let zone = zones[turn % zones.count]
            queue.add(
                .scripted { world throws(Violation) in
                    try world.startInstance(service: service, ttl: ttl, zone: zone)
                }, at: at)
        }
    }

    private func startInstance(service: String, ttl: TimeSpan, zone: Int) throws(Violation) {
        let door = Int(scene.draws.below(UInt64(members.count)))
        let number = scene.fleet.add(service: service, ttl: ttl, zone: zone, door: door)
        try instanceTicks(number)
    }

    /// They die without a word.
    func loseInstances(_ numbers: [Int]) {
        for number in numbers {
            scene.fleet[number].state = .silent
            scene.fleet[number].endedAt = now
        }
        trace.line(now, .world, .fault, "\(numbers.count) instances die")
    }

    func stopInstances(_ numbers: [Int], over: TimeSpan) {
        for (turn, number) in numbers.enumerated() {
            let at = now + over * Int64(turn) / Int64(numbers.count)
            queue.add(.scripted { world throws(Violation) in try world.stopInstance(number) }, at: at)
        }
    }

    private func stopInstance(_ number: Int) throws(Violation) {
        guard scene.fleet[number].state == .live else { return }
        scene.fleet[number].state = .stopped
        scene.fleet[number].endedAt = now
        scene.fleet[number].waiting = nil
        try instanceActs(number)
    }

    func pauseInstances(_ numbers: [Int], _ span: TimeSpan) {
        for number in numbers { scene.fleet[number].pausedUntil = now + span }
    }

    /// An instance looks at its clock: six times a TTL.
    func instanceTicks(_ number: Int) throws(Violation) {
        let instance = scene.fleet[number]
        guard instance.state != .silent, instance.state != .stopped || instance.lease != nil else { return }
        let rhythm = instance.ttl / 6
        let next = max(now + rhythm + .microseconds(Int64(scene.draws.below(2_000))), instance.pausedUntil)
        queue.add(.scripted { world throws(Violation) in try world.instanceTicks(number) }, at: next)
        guard instance.pausedUntil <= now else { return }
        if let waiting = instance.waiting {
            // No answer for a while: the next member may know better.
            let isHopeless = members[instance.door % members.count].process == nil
            guard isHopeless || now - waiting.since >= min(rhythm, .seconds(1)) else { return }
            scene.giveUp(waiting.serial)
            scene.fleet[number].waiting = nil
            scene.fleet[number].door += 1
        } else if instance.state == .live, instance.isRegistered, now - instance.renewedAt < instance.ttl / 3 {
            return
        }
        try instanceActs(number)
    }

    /// The next thing an instance has to ask for.
    func instanceActs(_ number: Int) throws(Violation) {
        let instance = scene.fleet[number]
        guard let member = door(of: number) else { return }
        let request: Request
        let purpose: Scene.Purpose
        if instance.state == .stopped {
            guard let lease = instance.lease else { return }
            (request, purpose) = (.write(.leaseRevoke(lease)), .revoke(number))
        } else if let lease = instance.lease {
            if instance.isRegistered {
                (request, purpose) = (.keepAlive(lease), .renew(number))
            } else {
                var put = PutRequest(key: instance.key, value: Array("\(instance.key.text)-\(scene.lastSerial)".utf8))
                put.lease = lease
                (request, purpose) = (.write(.put(put)), .register(number))
            }
        } else {
            let milliseconds = instance.ttl.milliseconds
            (request, purpose) = (.write(.leaseGrant(.none, ttlMilliseconds: milliseconds)), .grant(number))
        }
        guard let serial = try ask(request, purpose, at: member) else { return }
        // The answer may have been there at once.
        if scene.isOpen(serial) { scene.fleet[number].waiting = (serial, now) }
    }

    /// The member it talks to: the one it chose, or the next that runs and that it reaches.
    private func door(of number: Int) -> SimulatedMember? {
        let instance = scene.fleet[number]
        for turn in 0..<members.count {
            let place = (instance.door + turn) % members.count
            let member = members[place]
            guard member.process != nil, !member.isAbsent, scene.reaches(zone: instance.zone, member.id) else {
                continue
            }
            scene.fleet[number].door = place
            return member
        }
        return nil
    }

    func instanceHears(
        _ number: Int, _ question: Scene.Question, _ outcome: Result<ReplyBody, Rejection>
    ) throws(Violation) {
        let instance = scene.fleet[number]
        scene.fleet[number].waiting = nil
        // What reaches a dead or frozen process is lost.
        guard instance.state != .silent, instance.pausedUntil <= now else { return }
        switch outcome {
        case .success(.leaseGranted(let lease, let ttl)) where instance.state == .live:
            scene.fleet.granted(number, lease, ttl: .milliseconds(ttl), sentAt: question.askedAt)
            soon(number)
        case .success(.put):
            scene.fleet[number].isRegistered = true
        case .success(.keptAlive(let lease, let ttl)) where lease == instance.lease && ttl > 0:
            try scene.fleet.renewed(number, sentAt: question.askedAt, at: now, slack: leaseSlack)
        case .success(.keptAlive(let lease, 0)) where lease == instance.lease:
            scene.fleet[number].lease = nil
            scene.fleet[number].isRegistered = false
            soon(number)
        case .success(.leaseRevoked):
            scene.fleet[number].lease = nil
        case .failure(let rejection) where rejection.code == .leaseNotFound:
            scene.fleet[number].lease = nil
            scene.fleet[number].isRegistered = false
            soon(number)
        case .failure:
            scene.fleet[number].door += 1
            soon(number, after: .milliseconds(50))
        default:
            break
        }
    }

    private func soon(_ number: Int, after delay: TimeSpan = .milliseconds(1)) {
        guard scene.fleet[number].state != .silent else { return }
        queue.add(
            .scripted { world throws(Violation) in
                guard world.scene.fleet[number].waiting == nil, world.scene.fleet[number].state != .silent else {
                    return
                }
                try world.instanceActs(number)
            }, at: now + delay)
    }
}
