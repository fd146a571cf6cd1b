import RegistryModel

/// An entry through consensus, and a put through a member.
enum ConsensusBenchmarks {
    static let all = [commit, put]

    private static let commit = Benchmark(
        "raft-commit", "an entry is committed by three members: all their steps", iterations: 500
    ) { _ in
        var group = try RaftGroup()
        let payload = Samples.encodedPut(1)
        return Work(yield: 1) { count in
            let before = group.committed
            for _ in 0..<count { try group.commit(payload) }
            return group.committed - before
        }
    }

    private static let put = Benchmark(
        "replica-put", "a put is proposed, logged, applied and answered by an only member", iterations: 500
    ) { _ in
        var member = try SoleMember()
        let value = Samples.value(seed: 72)
        var keys = Turns(Samples.numbers(500, below: 500).map(Samples.key))
        var serial: UInt64 = 0
        func putOnce() {
            serial += 1
            member.write(.put(PutRequest(key: keys.next(), value: value)), serial: serial)
        }
        // Every key is there before the first that counts.
        for _ in 0..<500 { putOnce() }
        return Work(yield: 1) { count in
            let before = member.answered
            for _ in 0..<count { putOnce() }
            return member.answered - before
        }
    }
}
