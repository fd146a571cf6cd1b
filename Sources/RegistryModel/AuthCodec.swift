package import Primitives

extension Permission {
    package func encode(into writer: inout ByteWriter) {
        writer.byte(kind.rawValue)
        range.encode(into: &writer)
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> Permission {
        guard let kind = Kind(rawValue: try reader.byte("permission.kind")) else { throw .invalid("permission.kind") }
        return Permission(kind: kind, range: try KeyRange.decode(from: &reader))
    }
}

extension AuthUser {
    package func encode(into writer: inout ByteWriter) {
        writer.prefixed(name.text)
        writer.prefixed(passwordHash)
        writer.bool(hasNoPassword)
        writer.varint(UInt64(roles.count))
        for role in roles { writer.prefixed(role.text) }
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> AuthUser {
        let name = AuthName(try reader.string("user.name"))
        let hash = try reader.string("user.hash")
        var user = AuthUser(name: name, passwordHash: hash, hasNoPassword: try reader.bool("user.flags"))
        for _ in 0..<(try reader.count("user.roles")) { user.roles.append(AuthName(try reader.string("user.role"))) }
        return user
    }
}

extension AuthRole {
    package func encode(into writer: inout ByteWriter) {
        writer.prefixed(name.text)
        writer.varint(UInt64(permissions.count))
        for permission in permissions { permission.encode(into: &writer) }
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> AuthRole {
        var role = AuthRole(name: AuthName(try reader.string("role.name")))
        for _ in 0..<(try reader.count("role.permissions", unit: 3)) {
            role.permissions.append(try Permission.decode(from: &reader))
        }
        return role
    }
}

extension AuthOperation {
    private enum Tag: UInt8 {
        case enable = 1
        case disable, userAdd, userDelete, userChangePassword, userGrantRole, userRevokeRole
        case roleAdd, roleDelete, roleGrantPermission, roleRevokePermission, authenticate
    }

    func encode(into writer: inout ByteWriter) {
        func begin(_ tag: Tag, _ names: AuthName...) {
            writer.byte(tag.rawValue)
            for name in names { writer.prefixed(name.text) }
        }
        switch self {
        case .enable: begin(.enable)
        case .disable: begin(.disable)
        case .userAdd(let name, let hash, let hasNoPassword):
            begin(.userAdd, name)
            writer.prefixed(hash)
            writer.bool(hasNoPassword)
        case .userDelete(let name): begin(.userDelete, name)
        case .userChangePassword(let name, let hash):
            begin(.userChangePassword, name)
            writer.prefixed(hash)
        case .userGrantRole(let user, let role): begin(.userGrantRole, user, role)
        case .userRevokeRole(let user, let role): begin(.userRevokeRole, user, role)
        case .roleAdd(let name): begin(.roleAdd, name)
        case .roleDelete(let name): begin(.roleDelete, name)
        case .roleGrantPermission(let role, let permission):
            begin(.roleGrantPermission, role)
            writer.bool(permission != nil)
            permission?.encode(into: &writer)
        case .roleRevokePermission(let role, let range):
            begin(.roleRevokePermission, role)
            range.encode(into: &writer)
        case .authenticate(let user, let token, let revision):
            begin(.authenticate, user)
            writer.prefixed(token)
            writer.varint(revision)
        }
    }

    static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> AuthOperation {
        func name(_ field: String) throws(DecodingFailure) -> AuthName { AuthName(try reader.string(field)) }
        guard let tag = Tag(rawValue: try reader.byte("auth.tag")) else { throw .invalid("auth.tag") }
        switch tag {
        case .enable: return .enable
        case .disable: return .disable
        case .userAdd:
            let user = try name("auth.user")
            let hash = try reader.string("auth.hash")
            return .userAdd(user, passwordHash: hash, hasNoPassword: try reader.bool("auth.flags"))
        case .userDelete: return .userDelete(try name("auth.user"))
        case .userChangePassword:
            return .userChangePassword(try name("auth.user"), passwordHash: try reader.string("auth.hash"))
        case .userGrantRole: return .userGrantRole(user: try name("auth.user"), role: try name("auth.role"))
        case .userRevokeRole: return .userRevokeRole(user: try name("auth.user"), role: try name("auth.role"))
        case .roleAdd: return .roleAdd(try name("auth.role"))
        case .roleDelete: return .roleDelete(try name("auth.role"))
        case .roleGrantPermission:
            let role = try name("auth.role")
            let isGiven = try reader.bool("auth.given")
            return .roleGrantPermission(role: role, isGiven ? try Permission.decode(from: &reader) : nil)
        case .roleRevokePermission:
            return .roleRevokePermission(role: try name("auth.role"), try KeyRange.decode(from: &reader))
        case .authenticate:
            let user = try name("auth.user")
            let token = try reader.string("auth.token")
            return .authenticate(user, token: token, revision: try reader.varint("auth.revision"))
        }
    }
}
