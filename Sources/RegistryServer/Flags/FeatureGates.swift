/// etcd's feature gates. None of them switches anything here; what each would have asked for is told.
enum FeatureGate {
    /// What a gate asks for, and what becomes of it.
    private static let known: [(name: String, remark: String)] = [
        ("AllAlpha", "there are no features of an alpha kind"),
        ("AllBeta", "there are no features of a beta kind"),
        ("CompactHashCheck", "members always compare the digests of their states, every ten seconds"),
        ("FastLeaseKeepAlive", "renewals never wait for what is being applied"),
        ("InitialCorruptCheck", "a member always checks its state before it serves, and compares it with the others'"),
        ("LeaseCheckpoint", "a new leader always learns from the others how old leases are"),
        ("LeaseCheckpointPersist", "a new leader always learns from the others how old leases are"),
        ("PriorityRequest", "what holds leases and members is never behind clients' writes"),
        ("SetMemberLocalAddr", "the kernel chooses the address that members are dialed from"),
        ("StopGRPCServiceOnDefrag", "there is nothing to defragment"),
        ("TxnModeWriteWithSharedBuffer", "reads never wait for a buffer of writes"),
    ]

    static var names: [String] { known.map(\.name) }

    /// - Parameter text: `NAME=true,NAME=false`.
    /// - Returns: for each gate that is given why it is ignored.
    /// - Throws: for a gate that etcd does not know either, or a value that is neither true nor false.
    static func remarks(on text: String) throws(ConfigurationError) -> [String] {
        var remarks: [String] = []
        for part in text.split(separator: ",").map({ $0.trimmed }) where !part.isEmpty {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else {
                throw ConfigurationError("--feature-gates '\(part)' is not of the form NAME=true or NAME=false")
            }
            guard let gate = known.first(where: { $0.name == pair[0].trimmed }) else {
                throw ConfigurationError("--feature-gates: unrecognized feature gate: \(pair[0])")
            }
            guard Flag.Form.truth(of: String(pair[1].trimmed)) != nil else {
                throw ConfigurationError("--feature-gates: invalid value of \(gate.name)=\(pair[1]), true or false")
            }
            remarks.append("--feature-gates \(part) is ignored: \(gate.remark)")
        }
        return remarks
    }
}
