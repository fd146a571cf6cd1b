import KVStore
import Primitives
import RegistryModel
import Testing

@Suite struct LeaseBrakeTests {
    private let prefix = Key("/s/")

    private func at(_ seconds: Int64) -> Instant { .zero + .seconds(seconds) }

    private func holder(_ lease: Int64, _ origin: String) -> LeaseBrake.Holder {
        LeaseBrake.Holder(lease: LeaseID(lease), origin: origin)
    }

    /// Silent leases, numbered from 1, from the hosts named.
    private func census(_ leases: Int, silentOn hosts: [String]) -> LeaseBrake.Census {
        LeaseBrake.Census(leases: leases, silent: hosts.enumerated().map { holder(Int64($0 + 1), $1) })
    }

    private func isHeld(
        _ leases: Int, _ hosts: [String], _ settings: BrakeSettings = .standard
    ) -> Bool {
        var brake = LeaseBrake()
        var outcome = LeaseBrake.Outcome()
        let until = brake.hold(holder(1, hosts[0]), below: prefix, settings, at: at(1), into: &outcome) {
            census(leases, silentOn: hosts)
        }
        #expect((until != nil) == (outcome.notices == [.engaged(prefix)]))
        return until != nil
    }

    @Test("More than the share, three leases and three hosts: all of them, or none is held")
    func threshold() {
        #expect(isHeld(5, ["a", "b", "c"]))
        #expect(!isHeld(6, ["a", "b", "c"]))
        #expect(!isHeld(5, ["a", "b", "b", "a"]))
        #expect(!isHeld(5, ["a", "a", "a", "a", "a"]))
        #expect(!isHeld(2, ["a", "b"]))
        // Who is not known counts as one.
        #expect(!isHeld(5, ["", "", "", "a"]))
        var settings = BrakeSettings.standard
        settings.share = 60
        #expect(!isHeld(5, ["a", "b", "c"], settings) && isHeld(5, ["a", "b", "c", "d"], settings))
    }

    @Test("Leases that ended within the window count; those before it do not")
    func window() {
        for (pause, expected) in [(10, true), (31, false)] as [(Int64, Bool)] {
            var brake = LeaseBrake()
            var outcome = LeaseBrake.Outcome()
            // Of ten, three die early, one by one; then three of the seven left.
            for lease in 1...3 as ClosedRange<Int64> {
                let until = brake.hold(
                    holder(lease, "h\(lease)"), below: prefix, .standard, at: at(lease), into: &outcome
                ) {
                    LeaseBrake.Census(leases: 11 - Int(lease), silent: [holder(lease, "h\(lease)")])
                }
                #expect(until == nil)
            }
            let until = brake.hold(holder(4, "h4"), below: prefix, .standard, at: at(3 + pause), into: &outcome) {
                LeaseBrake.Census(leases: 7, silent: (4...6).map { holder($0, "h\($0)") })
            }
            #expect((until != nil) == expected)
        }
    }

    @Test("Spreading lets go in order, evenly, and all of it by its end")
    func spreading() {
        var brake = LeaseBrake()
        var settings = BrakeSettings.standard
        (settings.hold, settings.spread) = (10, 10)
        var outcome = LeaseBrake.Outcome()
        let hosts = (0..<10).map { "h\($0)" }
        for lease in 1...10 as ClosedRange<Int64> {
            let until = brake.hold(
                holder(lease, hosts[Int(lease) - 1]), below: prefix, settings, at: at(0), into: &outcome
            ) {
                census(10, silentOn: hosts)
            }
            #expect(until == at(20))
        }
        var freed: [Int64] = []
        for second in 1...20 as ClosedRange<Int64> {
            outcome = LeaseBrake.Outcome()
            brake.look(
                at: at(second), into: &outcome, settings: { _ in settings },
                census: { _ in census(10, silentOn: hosts) }, isHeld: { !freed.contains($0.number) })
            freed += outcome.freed.map(\.number)
            #expect(freed.count == max(0, Int(second) - 10))
        }
        #expect(freed == Array(1...10) && brake.isIdle)
        #expect(outcome.notices == [.ended(prefix, .spread, released: 0)])
    }

    @Test("Whoever has no settings any more is let go; nothing is held for no time without end")
    func off() {
        var brake = LeaseBrake()
        var settings = BrakeSettings.standard
        (settings.hold, settings.spread) = (0, 0)
        var outcome = LeaseBrake.Outcome()
        let until = brake.hold(holder(1, "a"), below: prefix, settings, at: at(5), into: &outcome) {
            census(3, silentOn: ["a", "b", "c"])
        }
        #expect(until == at(6) && brake.nextLook == at(6))
        outcome = LeaseBrake.Outcome()
        brake.look(
            at: at(6), into: &outcome, settings: { _ in nil }, census: { _ in census(3, silentOn: []) },
            isHeld: { _ in true })
        #expect(outcome.freed == [LeaseID(1)] && outcome.notices == [.ended(prefix, .off, released: 1)])
        #expect(brake.isIdle && brake.nextLook == .distantFuture)
    }

    @Test("A verdict about many leases is used for long, yet not when so many end that it may be wrong")
    func censusPace() {
        var brake = LeaseBrake()
        var calls = 0
        func end(_ lease: Int64, at now: Instant, silentOn hosts: [String], of leases: Int) -> Instant? {
            var outcome = LeaseBrake.Outcome()
            return brake.hold(holder(lease, "h\(lease % 2)"), below: prefix, .standard, at: now, into: &outcome) {
                calls += 1
                return census(leases, silentOn: hosts)
            }
        }
        for tick in 0..<200 as Range<Int64> {
            let now = at(1) + .milliseconds(tick * 50)
            #expect(end(tick, at: now, silentOn: ["h0", "h1"], of: 100_000) == nil)
        }
        #expect(calls <= 3, "\(calls) walks over 100 000 leases")
        // Now they all fall silent, just after a verdict: after a hundredth of them it is asked again.
        brake = LeaseBrake()
        calls = 0
        let hosts = (0..<6_000).map { "h\($0 % 100)" }
        var ended = 0
        for tick in 0..<6_000 as Range<Int64> {
            let now = at(1) + .microseconds(tick * 500)
            if end(tick, at: now, silentOn: tick == 0 ? [] : hosts, of: 10_000) != nil { break }
            ended += 1
        }
        #expect((100...300).contains(ended) && calls == 2, "\(ended) ended, \(calls) walks")
    }

    @Test("A look counts some thousand leases at most; the rest is due still, and gets its turn")
    func lookPace() {
        var brake = LeaseBrake()
        var outcome = LeaseBrake.Outcome()
        let prefixes = (0..<6).map { Key("/s\($0)/") }
        for prefix in prefixes {
            let until = brake.hold(holder(1, "a"), below: prefix, .standard, at: at(1), into: &outcome) {
                census(3, silentOn: ["a", "b", "c"])
            }
            #expect(until != nil)
        }
        var looked: [Key] = []
        for turn in 1...3 {
            brake.look(
                at: at(2), into: &outcome, settings: { _ in .standard },
                census: { prefix in
                    looked.append(prefix)
                    return LeaseBrake.Census(leases: 3_000, silent: [])
                }, isHeld: { _ in true })
            #expect(looked.count == 2 * turn)
            #expect((brake.nextLook == at(2)) == (turn < 3))
        }
        #expect(looked.sorted() == prefixes)
    }

    @Test("Settings that change while something is held count from when it was held")
    func changedSettings() {
        var brake = LeaseBrake()
        var settings = BrakeSettings.standard
        (settings.hold, settings.spread) = (2, 100)
        let hosts = (0..<10).map { "h\($0)" }
        var outcome = LeaseBrake.Outcome()
        for lease in 1...10 as ClosedRange<Int64> {
            _ = brake.hold(holder(lease, hosts[Int(lease) - 1]), below: prefix, settings, at: at(0), into: &outcome) {
                census(10, silentOn: hosts)
            }
        }
        func look(_ second: Int64) -> Int {
            outcome = LeaseBrake.Outcome()
            brake.look(
                at: at(second), into: &outcome, settings: { _ in settings },
                census: { _ in census(10, silentOn: hosts) }, isHeld: { _ in true })
            return outcome.freed.count
        }
        #expect(look(12) == 1)
        func phase(_ second: Int64) -> BrakeReport.Phase? {
            brake.report(of: prefix, term: Term(1), at: at(second), wallMilliseconds: 0)?.phase
        }
        #expect(phase(12) == .spreading)
        // Longer: nothing ends any more.
        settings.hold = 50
        #expect(look(22) == 0 && phase(22) == .holding)
        #expect(outcome.notices == [.changed(prefix)])
        // Shorter: it is over at once.
        (settings.hold, settings.spread) = (5, 5)
        #expect(look(23) == 9 && brake.isIdle)
    }

    @Test("What was released stays so for its hold, below longer prefixes as well, whoever leads")
    func released() {
        let hosts = ["a", "b", "c"]
        var outcome = LeaseBrake.Outcome()
        func isHeld(_ brake: inout LeaseBrake, below prefix: Key, at seconds: Int64) -> Bool {
            var settings = BrakeSettings.standard
            settings.hold = 60
            let until = brake.hold(holder(1, "a"), below: prefix, settings, at: at(seconds), into: &outcome) {
                census(3, silentOn: hosts)
            }
            return until != nil
        }
        for (released, below, seconds, expected) in [
            ("/s/", "/s/", 70, false), ("/s/", "/s/", 71, true), ("/s", "/s/", 70, false), ("/", "/s/", 20, false),
            ("/s/x", "/s/", 20, true), ("/t/", "/s/", 20, true), ("/s/", "/s/x/", 20, false),
        ] as [(String, String, Int64, Bool)] {
            var brake = LeaseBrake()
            #expect(!brake.release(Key(released), at: at(10), into: &outcome) { _ in true })
            brake.demote()
            brake.noteRelease(Key("/s/x/y"), at: at(11))
            #expect(isHeld(&brake, below: Key(below), at: seconds + (expected && seconds > 70 ? 0 : -1)) == expected)
        }
        // Every hold below a shorter one ends, and no other.
        var brake = LeaseBrake()
        for text in ["/s/a/", "/s/b/", "/t/"] { #expect(isHeld(&brake, below: Key(text), at: 1)) }
        outcome = LeaseBrake.Outcome()
        #expect(brake.release(Key("/s/"), at: at(2), into: &outcome) { _ in true })
        #expect(brake.prefixes == [Key("/t/")] && outcome.freed.count == 2)
    }

    // MARK: - In the store

    @Test("What belongs to a longer prefix is not counted for a shorter one, even when that is switched off")
    func nested() {
        var feeder = Feeder()
        for (lease, key) in ["/s/a", "/s/b/x", "/s/b/c/x", "/s/b0", "/s/z"].enumerated() {
            feeder.grant(Int64(lease + 1))
            feeder.put(key, lease: Int64(lease + 1))
        }
        for (prefix, settings) in [("/s/", "on"), ("/s/b/", "off"), ("/s/b/c/", "on"), ("/t/", "on")] {
            feeder.put("ganglion/brake/settings/" + prefix, settings)
        }
        let table = feeder.store.brakeSettings
        func counted(_ prefix: String) -> [Int64] {
            feeder.store.brakeCensus(of: Key(prefix), in: table) { _ in true }.silent.map(\.lease.number)
        }
        #expect(counted("/s/") == [1, 4, 5])
        #expect(counted("/s/b/") == [2] && counted("/s/b/c/") == [3] && counted("/t/") == [])
        #expect(feeder.store.brakeStanding(of: LeaseID(1), below: Key("/s/"), in: table) == .below)
        #expect(feeder.store.brakeStanding(of: LeaseID(2), below: Key("/s/"), in: table) == .unbraked)
        #expect(feeder.store.brakeStanding(of: LeaseID(3), below: Key("/s/"), in: table) == .elsewhere)
    }

    @Test("The longest prefix of a key counts, found among neighbours that look alike")
    func places() {
        var table = BrakeSettingsTable()
        for text in ["/a", "/a/b/", "/a/b/c", "/a/b/cc/", "/b/"] {
            table.rows.append(BrakeSettingsTable.Row(Key(text), .standard))
        }
        for (key, expected) in [
            ("/a/b/cd", "/a/b/c"), ("/a/b/cc/x", "/a/b/cc/"), ("/a/b/d", "/a/b/"), ("/a/c", "/a"), ("/ab", "/a"),
            ("/b", nil), ("/b/x", "/b/"), ("", nil), ("/c", nil), ("/a/b/c", "/a/b/c"),
        ] as [(String, String?)] {
            #expect(table.place(of: Key(key)).map { table.rows[$0].prefix.text } == expected, "\(key)")
        }
        #expect(table[Key("/b/")] == .standard && table[Key("/b")] == nil)
    }

    @Test("A lease comes from the host that last attached a key to it, also after a restart")
    func origins() throws {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.grant(2)
        #expect(feeder.store.origin(of: LeaseID(1)).isEmpty)
        feeder.put("/s/x", lease: 1)
        #expect(feeder.store.origin(of: LeaseID(1)) == "127.0.0.1@1")
        #expect(Origin.host(of: "[::1]:99") == "[::1]" && Origin.host(of: "unix") == "unix")
        for (peer, source) in [
            ("[::1]:9", "[::1]@7"), ("127.0.0.1:9", "127.0.0.1@7"), ("127.9.0.1:9", "127.9.0.1"), ("", ""),
            ("10.0.0.1:9", "10.0.0.1"),
        ] { #expect(Origin.source(of: peer, at: MemberID(7)) == source) }
        var state = feeder.restored
        state.leaseOrigins = [LeaseOrigin(lease: LeaseID(1), host: "10.0.0.9")]
        let restored = try RegistryStore(restoring: state)
        #expect(restored.origin(of: LeaseID(1)) == "10.0.0.9" && restored.origin(of: LeaseID(2)).isEmpty)
        #expect(restored.digest == feeder.store.digest)
    }

    @Test("Only registrations below the prefix are counted, each lease once, no locks")
    func counting() {
        var feeder = Feeder()
        for lease in 1...20 as ClosedRange<Int64> { feeder.grant(lease) }
        feeder.put("/s/a_1", lease: 1)
        feeder.put("/s/b_1", lease: 1)
        feeder.put("/s/c", lease: 2)
        feeder.put("/s/lock/10", lease: 16)
        feeder.put("/s/permanent")
        feeder.put("/t/d", lease: 3)
        feeder.put("ganglion/brake/settings//s/", "share=10")
        let table = feeder.store.brakeSettings
        let census = feeder.store.brakeCensus(of: Key("/s/"), in: table) { $0 == LeaseID(1) || $0 == LeaseID(16) }
        #expect(census.leases == 2 && census.silent.map(\.lease) == [LeaseID(1)])
        #expect(table.rows.map(\.prefix) == [Key("/s/")] && table.rows[0].settings.share == 10)
        #expect(feeder.store.brakedPrefixes(of: LeaseID(1), in: table) == [0])
        #expect(feeder.store.brakedPrefixes(of: LeaseID(16), in: table) == [])
        #expect(feeder.store.brakedPrefixes(of: LeaseID(3), in: table) == [])
        #expect(feeder.store.brakedPrefixes(of: LeaseID(20), in: table) == [])
    }
}
