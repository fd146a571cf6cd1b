/// The name of a user or of a role. Names are the same when their bytes are: Unicode's idea of equal texts must not
/// decide who somebody is. Ordered bytewise, as etcd sorts them.
package struct AuthName: Hashable, Comparable, Sendable, ExpressibleByStringLiteral {
    private let bytes: [UInt8]

    package init(_ text: String) {
        bytes = Array(text.utf8)
    }

    package init(stringLiteral value: String) {
        self.init(value)
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The user and the role that may do everything.
    package static let root = AuthName("root")

    package var isEmpty: Bool { bytes.isEmpty }

    package static func < (left: AuthName, right: AuthName) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// What a role may do with the keys of one interval (etcd's `authpb.Permission`).
package struct Permission: Hashable, Sendable {
    /// etcd's numbers.
    package enum Kind: UInt8, Sendable, CaseIterable {
        case read = 0
        case write = 1
        case readWrite = 2
    }

    package var kind: Kind
    package var range: KeyRange

    package init(kind: Kind, range: KeyRange) {
        self.kind = kind
        self.range = range
    }

    /// Everything: what role root shows. etcd leaves the key of that one empty.
    package static let root = Permission(kind: .readWrite, range: KeyRange(start: Key([]), end: .unbounded))

    /// Whether it can be granted: etcd wants a key, and an interval that is not empty.
    package var isValid: Bool { !range.start.isEmpty && !range.isEmpty }
}

/// A user as it is replicated. The password itself is never in it.
package struct AuthUser: Hashable, Sendable {
    package var name: AuthName
    /// bcrypt's text; empty for a user without password.
    package var passwordHash: String
    /// Comes in by certificate only.
    package var hasNoPassword: Bool
    /// Ascending. Role root may be among them without existing.
    package var roles: [AuthName]

    package init(name: AuthName, passwordHash: String, hasNoPassword: Bool = false, roles: [AuthName] = []) {
        self.name = name
        self.passwordHash = passwordHash
        self.hasNoPassword = hasNoPassword
        self.roles = roles
    }

    package var isRoot: Bool { roles.contains(.root) }
}

/// A role as it is replicated.
package struct AuthRole: Hashable, Sendable {
    package var name: AuthName
    /// In order of the intervals' starts; no interval twice.
    package var permissions: [Permission]

    package init(name: AuthName, permissions: [Permission] = []) {
        self.name = name
        self.permissions = permissions
    }
}

/// Everything about users, roles and rights, as state stores keep it.
package struct AuthRows: Hashable, Sendable {
    package var isEnabled: Bool
    /// Counts effective changes; switching on is none. Starts at 1.
    package var revision: UInt64
    /// In order of names.
    package var users: [AuthUser]
    /// In order of names.
    package var roles: [AuthRole]

    package init(isEnabled: Bool, revision: UInt64, users: [AuthUser] = [], roles: [AuthRole] = []) {
        self.isEnabled = isEnabled
        self.revision = revision
        self.users = users
        self.roles = roles
    }

    /// Of a cluster where nobody has touched it.
    package static let initial = AuthRows(isEnabled: false, revision: 1)
}

/// A change of users, roles and rights, or a login.
package enum AuthOperation: Hashable, Sendable {
    case enable
    case disable
    /// The hash is ignored when the user is to have no password.
    case userAdd(AuthName, passwordHash: String, hasNoPassword: Bool)
    case userDelete(AuthName)
    case userChangePassword(AuthName, passwordHash: String)
    case userGrantRole(user: AuthName, role: AuthName)
    case userRevokeRole(user: AuthName, role: AuthName)
    case roleAdd(AuthName)
    case roleDelete(AuthName)
    /// nil: the client sent none, which is refused in its place among the other checks.
    case roleGrantPermission(role: AuthName, Permission?)
    case roleRevokePermission(role: AuthName, KeyRange)
    /// A password was found right while the auth revision was `revision`. Every member learns the token; an empty one
    /// (of a provider that signs its tokens) is not learned.
    case authenticate(AuthName, token: String, revision: UInt64)
}

/// What is needed to judge a password, outside the core.
package struct PasswordRecord: Hashable, Sendable {
    /// bcrypt's text.
    package var hash: String
    /// Goes into `AuthOperation.authenticate`, so that a change meanwhile is noticed.
    package var authRevision: UInt64

    package init(hash: String, authRevision: UInt64) {
        self.hash = hash
        self.authRevision = authRevision
    }
}

/// How a request says who asks.
package enum Credential: Hashable, Sendable {
    case none
    /// A token as the client sent it, which only the member can judge; also one that the door finds malformed or badly
    /// signed, because without auth tokens are ignored altogether.
    case token(String)
    /// From a verified client certificate; may be empty.
    case certificate(commonName: String)
    /// A signed token that the door has verified: its user and the auth revision at its issue.
    case verified(user: String, authRevision: UInt64)
    /// The member itself: health checks and the program it is embedded in.
    case root
}

/// Who asks, once a credential was resolved: what commands and reads carry until they are checked.
package struct Identity: Hashable, Sendable {
    package var user: String
    /// The auth revision at which the user was known; 0 when there is no user at all, which is not the same as a user
    /// whose name is empty.
    package var authRevision: UInt64

    package init(user: String, authRevision: UInt64) {
        self.user = user
        self.authRevision = authRevision
    }

    /// Nobody.
    package static let none = Identity(user: "", authRevision: 0)
    /// The member itself: no change of users or roles outdates it.
    package static let member = Identity(user: AuthName.root.text, authRevision: .max)

    package var name: AuthName { AuthName(user) }
}

/// How much somebody must be to do what has no keys.
package enum Authority: Hashable, Sendable {
    case anyUser
    case root
}
