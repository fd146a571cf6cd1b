internal import Primitives
package import RegistryModel

/// Users, roles and the switch, changed through the log by etcd's rules, its order of checks included.
extension RegistryStore {
    /// Everything about users and roles.
    package var auth: AuthRows { authTable.rows }
    /// Whether requests need a user with rights.
    package var isAuthEnabled: Bool { authTable.isEnabled }
    /// Goes up with every effective change of users, roles and rights, and when auth is switched off.
    package var authRevision: UInt64 { authTable.revision }

    mutating func applyAuth(
        _ operation: AuthOperation, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        do throws(Rejection) {
            switch operation {
            case .enable: try enableAuth(into: &changes)
            case .disable:
                if isAuthEnabled { setAuth(isEnabled: false, revision: authRevision + 1, into: &changes) }
            case .userAdd, .userDelete, .userChangePassword, .userGrantRole, .userRevokeRole:
                try changeUser(operation, into: &changes)
            case .roleAdd, .roleDelete, .roleGrantPermission, .roleRevokePermission:
                try changeRole(operation, into: &changes)
            case .authenticate(let name, let token, let revision):
                return .success(try authenticate(name, token: token, revision: revision))
            }
            return .success(.authChanged)
        } catch {
            return .failure(error)
        }
    }

    private mutating func enableAuth(into changes: inout AppliedChanges) throws(Rejection) {
        if isAuthEnabled { return }
        guard let root = authTable.user(.root) else { throw Rejection(.rootUserMissing) }
        guard root.isRoot else { throw Rejection(.rootRoleMissing) }
        setAuth(isEnabled: true, revision: authRevision, into: &changes)
    }

    /// The password was right at `revision`; what was changed since may have been the password.
    private func authenticate(
        _ name: AuthName, token: String, revision: UInt64
    ) throws(Rejection) -> CommandResult {
        guard isAuthEnabled else { throw Rejection(.authNotEnabled) }
        guard let user = authTable.user(name), !user.hasNoPassword else { throw Rejection(.authenticationFailed) }
        guard revision == authRevision else { throw Rejection(.authRevisionOld) }
        let issued = token.isEmpty ? "" : "\(token).\(applied.index.number)"
        return .authenticated(token: issued, authRevision: revision)
    }

    // MARK: - Users

    private mutating func changeUser(
        _ operation: AuthOperation, into changes: inout AppliedChanges
    ) throws(Rejection) {
        switch operation {
        case .userAdd(let name, let hash, let hasNoPassword):
            if name.isEmpty { throw Rejection(.userNameEmpty) }
            if authTable.user(name) != nil { throw Rejection(.userExists) }
            store(
                AuthUser(name: name, passwordHash: hasNoPassword ? "" : hash, hasNoPassword: hasNoPassword),
                into: &changes)
        case .userDelete(let name):
            if isAuthEnabled, name == .root { throw Rejection(.invalidAuthManagement) }
            let user = try known(user: name)
            authTable.removeUser(name)
            liveDigest.remove(RecordDigest.authUser(user))
            changes.changes.append(.authUserRemoved(name))
        case .userChangePassword(let name, let hash):
            var user = try known(user: name)
            // One that comes in by certificate stays without.
            if !user.hasNoPassword { user.passwordHash = hash }
            store(user, into: &changes)
        case .userGrantRole(let name, let role):
            var user = try known(user: name)
            if role != .root, authTable.role(role) == nil { throw Rejection(.roleNotFound) }
            if user.roles.contains(role) { return }
            user.roles = (user.roles + [role]).sorted()
            store(user, into: &changes)
        case .userRevokeRole(let name, let role):
            if isAuthEnabled, name == .root, role == .root { throw Rejection(.invalidAuthManagement) }
            var user = try known(user: name)
            guard user.roles.contains(role) else { throw Rejection(.roleNotGranted) }
            user.roles.removeAll { $0 == role }
            store(user, into: &changes)
        default: preconditionFailure("not about a user")
        }
        raiseAuthRevision(into: &changes)
    }

    private func known(user name: AuthName) throws(Rejection) -> AuthUser {
        guard let user = authTable.user(name) else { throw Rejection(.userNotFound) }
        return user
    }

    private mutating func store(_ user: AuthUser, into changes: inout AppliedChanges) {
        if let old = authTable.put(user) { liveDigest.remove(RecordDigest.authUser(old)) }
        liveDigest.add(RecordDigest.authUser(user))
        changes.changes.append(.authUser(user))
    }

    // MARK: - Roles

    private mutating func changeRole(
        _ operation: AuthOperation, into changes: inout AppliedChanges
    ) throws(Rejection) {
        switch operation {
        case .roleAdd(let name):
            if name.isEmpty { throw Rejection(.roleNameEmpty) }
            if authTable.role(name) != nil { throw Rejection(.roleExists) }
            store(AuthRole(name: name), into: &changes)
        case .roleDelete(let name):
            if isAuthEnabled, name == .root { throw Rejection(.invalidAuthManagement) }
            let role = try known(role: name)
            authTable.removeRole(name)
            liveDigest.remove(RecordDigest.authRole(role))
            changes.changes.append(.authRoleRemoved(name))
            for var user in auth.users where user.roles.contains(name) {
                user.roles.removeAll { $0 == name }
                store(user, into: &changes)
            }
        case .roleGrantPermission(let name, let permission):
            guard let permission else { throw Rejection(.permissionNotGiven) }
            guard permission.isValid else { throw Rejection(.invalidAuthManagement) }
            var role = try known(role: name)
            if let place = role.permissions.firstIndex(where: { $0.range == permission.range }) {
                role.permissions[place] = permission
            } else {
                let place = role.permissions.firstIndex { permission.range.start < $0.range.start }
                role.permissions.insert(permission, at: place ?? role.permissions.count)
            }
            store(role, into: &changes)
        case .roleRevokePermission(let name, let range):
            var role = try known(role: name)
            guard role.permissions.contains(where: { $0.range == range }) else {
                throw Rejection(.permissionNotGranted)
            }
            role.permissions.removeAll { $0.range == range }
            store(role, into: &changes)
        default: preconditionFailure("not about a role")
        }
        raiseAuthRevision(into: &changes)
    }

    private func known(role name: AuthName) throws(Rejection) -> AuthRole {
        guard let role = authTable.role(name) else { throw Rejection(.roleNotFound) }
        return role
    }

    private mutating func store(_ role: AuthRole, into changes: inout AppliedChanges) {
        if let old = authTable.put(role) { liveDigest.remove(RecordDigest.authRole(old)) }
        liveDigest.add(RecordDigest.authRole(role))
        changes.changes.append(.authRole(role))
    }

    // MARK: - The switch

    private mutating func raiseAuthRevision(into changes: inout AppliedChanges) {
        setAuth(isEnabled: isAuthEnabled, revision: authRevision + 1, into: &changes)
    }

    private mutating func setAuth(isEnabled: Bool, revision: UInt64, into changes: inout AppliedChanges) {
        liveDigest.remove(RecordDigest.authSettings(isEnabled: isAuthEnabled, revision: authRevision))
        authTable.set(isEnabled: isEnabled, revision: revision)
        liveDigest.add(RecordDigest.authSettings(isEnabled: isEnabled, revision: revision))
        changes.changes.append(.authSettings(isEnabled: isEnabled, revision: revision))
    }
}
