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

    // MARK: - In the store

    @Test("The longest prefix of a key counts, found among neighbours that look alike")
    func places() {
        var table = BrakeSettingsTable()
        for text in ["/a", "/a/b/", "/a/b/c", "/a/b/cc/", "/b/"] { table.rows.append((Key(text), .standard)) }
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
        #expect(feeder.store.origin(of: LeaseID(1)) == "127.0.0.1")
        #expect(Origin.host(of: "[::1]:99") == "[::1]" && Origin.host(of: "unix") == "unix")
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
        let census = feeder.store.brakeCensus(of: Key("/s/")) { $0 == LeaseID(1) || $0 == LeaseID(16) }
        #expect(census.leases == 2 && census.silent.map(\.lease) == [LeaseID(1)])
        let table = feeder.store.brakeSettings
        #expect(table.rows.map(\.prefix) == [Key("/s/")] && table.rows[0].settings.share == 10)
        #expect(feeder.store.brakedPrefixes(of: LeaseID(1), in: table) == [0])
        #expect(feeder.store.brakedPrefixes(of: LeaseID(16), in: table) == [])
        #expect(feeder.store.brakedPrefixes(of: LeaseID(3), in: table) == [])
        #expect(feeder.store.brakedPrefixes(of: LeaseID(20), in: table) == [])
    }
}
