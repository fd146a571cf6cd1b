internal import RegistryModel

/// What a user may do with keys.
struct AuthRights: Sendable {
    var isRoot: Bool
    var reads: KeyIntervals
    var writes: KeyIntervals

    func allows(_ kind: Permission.Kind, _ range: KeyRange) -> Bool {
        if isRoot { return true }
        switch kind {
        case .read: return reads.covers(range)
        case .write: return writes.covers(range)
        case .readWrite: return reads.covers(range) && writes.covers(range)
        }
    }
}

/// Users and roles by name, and what follows from them for keys.
struct AuthTable: Sendable {
    private(set) var rows: AuthRows
    /// Of users that asked since the last change; looked up only.
    private var rights: [AuthName: AuthRights] = [:]

    /// Users and roles must ascend strictly by name.
    init(_ rows: AuthRows = .initial) {
        self.rows = rows
    }

    var isEnabled: Bool { rows.isEnabled }
    var revision: UInt64 { rows.revision }

    func user(_ name: AuthName) -> AuthUser? {
        let place = AuthTable.place(of: name, in: rows.users.count) { rows.users[$0].name }
        return place < rows.users.count && rows.users[place].name == name ? rows.users[place] : nil
    }

    func role(_ name: AuthName) -> AuthRole? {
        let place = AuthTable.place(of: name, in: rows.roles.count) { rows.roles[$0].name }
        return place < rows.roles.count && rows.roles[place].name == name ? rows.roles[place] : nil
    }

    /// What the user may do with keys; nil for an unknown one.
    mutating func rights(of name: AuthName) -> AuthRights? {
        if let known = rights[name] { return known }
        guard let user = user(name) else { return nil }
        let permissions = user.roles.flatMap { role($0)?.permissions ?? [] }
        let found = AuthRights(
            isRoot: user.isRoot,
            reads: KeyIntervals(permissions.filter { $0.kind != .write }.map(\.range)),
            writes: KeyIntervals(permissions.filter { $0.kind != .read }.map(\.range)))
        rights[name] = found
        return found
    }

    // MARK: - Changes

    mutating func set(isEnabled: Bool, revision: UInt64) {
        rows.isEnabled = isEnabled
        rows.revision = revision
        rights.removeAll()
    }

    /// - Returns: the user that was there under the same name.
    mutating func put(_ user: AuthUser) -> AuthUser? {
        rights.removeAll()
        let place = AuthTable.place(of: user.name, in: rows.users.count) { rows.users[$0].name }
        guard place < rows.users.count, rows.users[place].name == user.name else {
            rows.users.insert(user, at: place)
            return nil
        }
        defer { rows.users[place] = user }
        return rows.users[place]
    }

    /// - Returns: the role that was there under the same name.
    mutating func put(_ role: AuthRole) -> AuthRole? {
        rights.removeAll()
        let place = AuthTable.place(of: role.name, in: rows.roles.count) { rows.roles[$0].name }
        guard place < rows.roles.count, rows.roles[place].name == role.name else {
            rows.roles.insert(role, at: place)
            return nil
        }
        defer { rows.roles[place] = role }
        return rows.roles[place]
    }

    mutating func removeUser(_ name: AuthName) {
        rights.removeAll()
        rows.users.removeAll { $0.name == name }
    }

    mutating func removeRole(_ name: AuthName) {
        rights.removeAll()
        rows.roles.removeAll { $0.name == name }
    }

    private static func place(of name: AuthName, in count: Int, _ other: (Int) -> AuthName) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if other(middle) < name { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
