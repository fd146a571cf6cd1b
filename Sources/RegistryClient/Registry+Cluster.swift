/// Members and alarms. As in `Registry+Calls`, each request takes a time limit over all attempts and throws
/// `RegistryError`.
extension Registry {
    /// Adds a member; start it afterwards, with `existing` as the state of its cluster.
    ///
    /// This registry's members begin as learners and get their vote when they have caught up, unless `isLearner` says
    /// that they are to stay so.
    ///
    /// - Throws: `.failedPrecondition` when an address is in use, `.invalidArgument` when one makes no sense,
    ///   `.unhealthyCluster` when some voter is missing.
    public func addMember(
        peerURLs: [String], isLearner: Bool = false, timeout: Duration? = nil
    ) async throws(RegistryError) -> MemberAddResult {
        try await perform(MemberAddRequest(peerURLs: peerURLs, isLearner: isLearner), timeout: timeout)
    }

    /// Removes a member for good.
    ///
    /// - Returns: those that are left.
    /// - Throws: `.memberNotFound`, `.unhealthyCluster`.
    @discardableResult
    public func removeMember(_ id: UInt64, timeout: Duration? = nil) async throws(RegistryError) -> MemberListResult {
        try await perform(MemberRemoveRequest(id: id), timeout: timeout)
    }

    /// Tells the cluster where to reach a member from now on. Repeated when the outcome of an attempt is unknown.
    ///
    /// - Throws: `.memberNotFound`, `.failedPrecondition` when an address is in use.
    @discardableResult
    public func updateMember(
        _ id: UInt64, peerURLs: [String], timeout: Duration? = nil
    ) async throws(RegistryError) -> MemberListResult {
        try await perform(MemberUpdateRequest(id: id, peerURLs: peerURLs), timeout: timeout)
    }

    /// Gives a learner its vote.
    ///
    /// - Throws: `.memberNotFound`, `.failedPrecondition` when it is no learner or has not caught up.
    @discardableResult
    public func promoteMember(_ id: UInt64, timeout: Duration? = nil) async throws(RegistryError) -> MemberListResult {
        try await perform(MemberPromoteRequest(id: id), timeout: timeout)
    }

    /// The alarms that are up.
    public func alarms(_ kind: Alarm.Kind = .none, timeout: Duration? = nil) async throws(RegistryError) -> AlarmResult
    {
        try await perform(AlarmRequest(.list, Alarm(memberID: 0, kind: kind)), timeout: timeout)
    }

    /// Raises an alarm.
    @discardableResult
    public func raiseAlarm(_ alarm: Alarm, timeout: Duration? = nil) async throws(RegistryError) -> AlarmResult {
        try await perform(AlarmRequest(.raise, alarm), timeout: timeout)
    }

    /// Clears an alarm.
    ///
    /// - Returns: the alarm; none when it was not up.
    @discardableResult
    public func clearAlarm(_ alarm: Alarm, timeout: Duration? = nil) async throws(RegistryError) -> AlarmResult {
        try await perform(AlarmRequest(.clear, alarm), timeout: timeout)
    }
}
