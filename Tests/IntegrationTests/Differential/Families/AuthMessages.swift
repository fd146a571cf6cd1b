import EtcdProto
import Foundation

extension Etcdserverpb_AuthEnableRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthEnableResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }

    func teach(_ names: inout Names) { names.isAuthOn = true }
}

extension Etcdserverpb_AuthDisableRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthDisableResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }

    func teach(_ names: inout Names) { names.isAuthOn = false }
}

extension Etcdserverpb_AuthenticateRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthenticateResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        // Normalisation "tokens": sixteen random letters, a dot and a number of the log.
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        let isSimple =
            parts.count == 2 && parts[0].count == 16 && parts[0].allSatisfy { $0.isASCII && $0.isLetter }
            && parts[1].first != nil && parts[1].allSatisfy { $0.isASCII && $0.isNumber }
        if isSimple { token = "(simple token)" }
    }
}

// MARK: Users

extension Etcdserverpb_AuthUserAddRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
    /// A root without a password would lock everybody out.
    var isPlayable: Bool { name != "root" || !options.noPassword }
}

extension Etcdserverpb_AuthUserAddResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthUserGetRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthUserGetResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthUserListRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthUserListResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthUserDeleteRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthUserDeleteResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthUserChangePasswordRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
    /// Normalisation "empty password": since 3.5 no password fits after a change to an empty one; before, it did.
    var isPlayable: Bool { !password.isEmpty }
}

extension Etcdserverpb_AuthUserChangePasswordResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthUserGrantRoleRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthUserGrantRoleResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthUserRevokeRoleRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthUserRevokeRoleResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

// MARK: Roles

extension Etcdserverpb_AuthRoleAddRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthRoleAddResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthRoleGetRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthRoleGetResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthRoleListRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthRoleListResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthRoleDeleteRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthRoleDeleteResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthRoleGrantPermissionRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthRoleGrantPermissionResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_AuthRoleRevokePermissionRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AuthRoleRevokePermissionResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}
