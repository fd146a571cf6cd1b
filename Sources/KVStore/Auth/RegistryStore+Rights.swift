package import RegistryModel

/// Who may do what while auth is on. Every check answers with etcd's refusal, nil when it is allowed, and is nil at
/// once while auth is off.
extension RegistryStore {
    /// A command at its application, or one that changes the membership before it is proposed. What members do of
    /// their own accord is not asked here.
    package mutating func authRefusal(of operation: Command.Operation, by identity: Identity) -> Rejection? {
        guard isAuthEnabled else { return nil }
        switch operation {
        case .put(let request): return refusal(of: request, by: identity)
        case .deleteRange(let request): return refusal(of: request, by: identity)
        case .txn(let request): return authRefusal(of: request, by: identity)
        case .leaseGrant: return authRefusal(of: .anyUser, by: identity)
        case .leaseRevoke(let id):
            return authRefusal(of: .anyUser, by: identity) ?? authRefusal(of: .write, lease: id, by: identity)
        case .auth(.authenticate): return nil
        case .compact, .leaseExpire, .publishMember, .memberAdd, .memberRemove, .memberPromote, .memberUpdate, .alarm,
            .digestMark, .auth:
            return authRefusal(of: .root, by: identity)
        }
    }

    package func authRefusal(of authority: Authority, by identity: Identity) -> Rejection? {
        guard isAuthEnabled else { return nil }
        switch authority {
        case .anyUser:
            return identity.authRevision == 0 ? Rejection(.userNameEmpty) : nil
        case .root:
            if identity.user.isEmpty { return Rejection(.userNameEmpty) }
            guard let user = authTable.user(identity.name) else { return Rejection(.userNotFound) }
            return user.isRoot ? nil : Rejection(.permissionDenied)
        }
    }

    /// The interval is judged exactly as it was asked for: an open end needs a permission with an open end.
    package mutating func authRefusal(
        of kind: Permission.Kind, _ range: KeyRange, by identity: Identity
    ) -> Rejection? {
        guard isAuthEnabled else { return nil }
        if identity.authRevision == 0 { return Rejection(.userNameEmpty) }
        if identity.authRevision < authRevision { return Rejection(.authRevisionOld) }
        guard let rights = authTable.rights(of: identity.name), rights.allows(kind, range) else {
            return Rejection(.permissionDenied)
        }
        return nil
    }

    /// Every comparison and both branches, at every depth.
    package mutating func authRefusal(of request: TxnRequest, by identity: Identity) -> Rejection? {
        guard isAuthEnabled else { return nil }
        for comparison in request.comparisons {
            if let refusal = authRefusal(of: .read, comparison.range, by: identity) { return refusal }
        }
        for operation in request.success + request.failure {
            let refusal =
                switch operation {
                case .range(let range): authRefusal(of: .read, range.range, by: identity)
                case .put(let put): self.refusal(of: put, by: identity)
                case .deleteRange(let delete): self.refusal(of: delete, by: identity)
                case .txn(let inner): authRefusal(of: inner, by: identity)
                }
            if let refusal { return refusal }
        }
        return nil
    }

    /// The keys attached to a lease; there is nothing to refuse about one that does not exist.
    package mutating func authRefusal(
        of kind: Permission.Kind, lease id: LeaseID, by identity: Identity
    ) -> Rejection? {
        // Who may do it to all that lies between the first and the last is not asked key by key: there may be very many.
        guard isAuthEnabled, authRefusal(of: .root, by: identity) != nil, let span = leaseTable.span(of: id),
            authRefusal(of: kind, span, by: identity) != nil
        else { return nil }
        return authRefusal(of: kind, keys: leaseTable.keys(of: id) ?? [], by: identity)
    }

    /// Each of the keys; for root whatever its credential's age, as in etcd.
    package mutating func authRefusal(
        of kind: Permission.Kind, keys: [Key], by identity: Identity
    ) -> Rejection? {
        guard isAuthEnabled, !keys.isEmpty, authRefusal(of: .root, by: identity) != nil else { return nil }
        for key in keys {
            if let refusal = authRefusal(of: kind, .key(key), by: identity) { return refusal }
        }
        return nil
    }

    /// The list of all leases needs every key that is attached to one.
    package mutating func authRefusalOfLeases(by identity: Identity) -> Rejection? {
        guard isAuthEnabled else { return nil }
        if let refusal = authRefusal(of: .anyUser, by: identity) { return refusal }
        if authRefusal(of: .root, by: identity) == nil { return nil }
        for lease in leases {
            if let refusal = authRefusal(of: .read, lease: lease.id, by: identity) { return refusal }
        }
        return nil
    }

    /// A lease of which the user could not take back what hangs on it must not get more.
    private mutating func refusal(of request: PutRequest, by identity: Identity) -> Rejection? {
        if let refusal = authRefusal(of: .write, .key(request.key), by: identity) { return refusal }
        if request.lease != .none, let refusal = authRefusal(of: .write, lease: request.lease, by: identity) {
            return refusal
        }
        return request.wantsPrevious ? authRefusal(of: .read, .key(request.key), by: identity) : nil
    }

    private mutating func refusal(of request: DeleteRangeRequest, by identity: Identity) -> Rejection? {
        if let refusal = authRefusal(of: .write, request.range, by: identity) { return refusal }
        return request.wantsPrevious ? authRefusal(of: .read, request.range, by: identity) : nil
    }

    // MARK: - Reads about auth

    /// The roles of a user: for root, and for the user itself.
    package func roles(of user: AuthName, by identity: Identity) -> Result<[AuthName], Rejection> {
        if let refusal = authRefusal(of: .root, by: identity), identity.name != user { return .failure(refusal) }
        guard let found = authTable.user(user) else { return .failure(Rejection(.userNotFound)) }
        return .success(found.roles)
    }

    /// The permissions of a role: for root, and for users that have it. Role root shows everything, once it exists.
    package func permissions(of role: AuthName, by identity: Identity) -> Result<[Permission], Rejection> {
        if let refusal = authRefusal(of: .root, by: identity) {
            let ownRoles = authTable.user(identity.name)?.roles ?? []
            guard ownRoles.contains(role) else { return .failure(refusal) }
        }
        guard let found = authTable.role(role) else { return .failure(Rejection(.roleNotFound)) }
        return .success(role == .root ? [Permission.root] : found.permissions)
    }

    /// What a password is to be compared with. Nobody has to be anybody for that.
    package func passwordRecord(of user: AuthName) -> Result<PasswordRecord, Rejection> {
        guard isAuthEnabled else { return .failure(Rejection(.authNotEnabled)) }
        guard let found = authTable.user(user) else { return .failure(Rejection(.authenticationFailed)) }
        if found.hasNoPassword { return .failure(Rejection(.noPasswordUser)) }
        return .success(PasswordRecord(hash: found.passwordHash, authRevision: authRevision))
    }
}
