/// What only this registry has: an etcd answers `.unimplemented`.
extension Registry {
    /// What happened to one key, as far as history is kept: each version with who asked for it, when and why.
    ///
    /// - Throws: `.permissionDenied` without the right to read the key.
    public func history(_ request: HistoryRequest, timeout: Duration? = nil) async throws(RegistryError)
        -> HistoryResult
    {
        try await perform(request, timeout: timeout)
    }

    /// Opts a prefix into the brake on mass expiry, or out of it.
    package func setBrake(_ request: BrakeSetRequest) async throws(RegistryError) -> ResponseHeader {
        try await perform(request, timeout: nil)
    }

    /// Prefixes that opted in, in key order, with what is held below them.
    package func brakes() async throws(RegistryError) -> [BrakeStatus] {
        try await perform(BrakeStatusRequest(), timeout: nil)
    }

    /// Lets go what is held below a prefix.
    package func releaseBrake(_ request: BrakeReleaseRequest) async throws(RegistryError) -> ResponseHeader {
        try await perform(request, timeout: nil)
    }
}
