import EtcdProto
import RegistryModel
import SignedTokens
import SwiftProtobuf

/// `etcdserverpb.Auth`: users, roles, rights and logins. Whatever involves a password is a procedure.
enum AuthService {
    static let name = "etcdserverpb.Auth"

    // MARK: Changes

    static let enable = change("AuthEnable", answer: Etcdserverpb_AuthEnableResponse.self, \.header) { bytes in
        _ = try Etcdserverpb_AuthEnableRequest(serializedBytes: bytes)
        return .enable
    }

    static let disable = change("AuthDisable", answer: Etcdserverpb_AuthDisableResponse.self, \.header) { bytes in
        _ = try Etcdserverpb_AuthDisableRequest(serializedBytes: bytes)
        return .disable
    }

    static let userDelete = change("UserDelete", answer: Etcdserverpb_AuthUserDeleteResponse.self, \.header) { bytes in
        let message = try Etcdserverpb_AuthUserDeleteRequest(serializedBytes: bytes)
        return .userDelete(AuthName(message.name))
    }

    static let userGrantRole = change("UserGrantRole", answer: Etcdserverpb_AuthUserGrantRoleResponse.self, \.header) {
        bytes in
        let message = try Etcdserverpb_AuthUserGrantRoleRequest(serializedBytes: bytes)
        return .userGrantRole(user: AuthName(message.user), role: AuthName(message.role))
    }

    static let userRevokeRole = change("UserRevokeRole", answer: Etcdserverpb_AuthUserRevokeRoleResponse.self, \.header)
    { bytes in
        let message = try Etcdserverpb_AuthUserRevokeRoleRequest(serializedBytes: bytes)
        return .userRevokeRole(user: AuthName(message.name), role: AuthName(message.role))
    }

    static let roleAdd = change("RoleAdd", answer: Etcdserverpb_AuthRoleAddResponse.self, \.header) { bytes in
        let message = try Etcdserverpb_AuthRoleAddRequest(serializedBytes: bytes)
        return .roleAdd(AuthName(message.name))
    }

    static let roleDelete = change("RoleDelete", answer: Etcdserverpb_AuthRoleDeleteResponse.self, \.header) { bytes in
        let message = try Etcdserverpb_AuthRoleDeleteRequest(serializedBytes: bytes)
        return .roleDelete(AuthName(message.role))
    }

    static let roleGrantPermission = change(
        "RoleGrantPermission", answer: Etcdserverpb_AuthRoleGrantPermissionResponse.self, \.header
    ) { bytes in
        let message = try Etcdserverpb_AuthRoleGrantPermissionRequest(serializedBytes: bytes)
        return .roleGrantPermission(
            role: AuthName(message.name), message.hasPerm ? try Translation.permission(message.perm) : nil)
    }

    static let roleRevokePermission = change(
        "RoleRevokePermission", answer: Etcdserverpb_AuthRoleRevokePermissionResponse.self, \.header
    ) { bytes in
        let message = try Etcdserverpb_AuthRoleRevokePermissionRequest(serializedBytes: bytes)
        return .roleRevokePermission(
            role: AuthName(message.role), KeyRange(key: [UInt8](message.key), rangeEnd: [UInt8](message.rangeEnd)))
    }

    /// A change whose answer has nothing but a header.
    private static func change<Response: Message>(
        _ name: String, answer: Response.Type,
        _ header: any WritableKeyPath<Response, Etcdserverpb_ResponseHeader> & Sendable,
        decode: @escaping @Sendable ([UInt8]) throws -> AuthOperation
    ) -> UnaryMethod {
        UnaryMethod(
            service: Self.name, name: name,
            decode: { bytes, _ in .write(.auth(try decode(bytes))) },
            encode: { body, fields, _ in
                guard case .authChanged = body else { UnaryMethod.mismatch(body, "a change of users or roles") }
                return headerOnly(fields, header)
            })
    }

    private static func headerOnly<Response: Message>(
        _ fields: HeaderFields, _ header: WritableKeyPath<Response, Etcdserverpb_ResponseHeader>
    ) -> [UInt8] {
        var response = Response()
        response[keyPath: header] = Etcdserverpb_ResponseHeader(fields)
        return response.encoded
    }

    // MARK: Reads

    static let status = UnaryMethod(
        service: name, name: "AuthStatus",
        decode: { bytes, _ in
            _ = try Etcdserverpb_AuthStatusRequest(serializedBytes: bytes)
            return .authStatus
        },
        encode: { body, header, _ in
            guard case .authStatus(let isEnabled, let revision) = body else { UnaryMethod.mismatch(body, "AuthStatus") }
            var response = Etcdserverpb_AuthStatusResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.enabled = isEnabled
            response.authRevision = revision
            return response.encoded
        })

    static let userGet = UnaryMethod(
        service: name, name: "UserGet",
        decode: { bytes, _ in .authUser(AuthName(try Etcdserverpb_AuthUserGetRequest(serializedBytes: bytes).name)) },
        encode: { body, header, _ in
            guard case .authUser(let roles) = body else { UnaryMethod.mismatch(body, "UserGet") }
            var response = Etcdserverpb_AuthUserGetResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.roles = roles.map(\.text)
            return response.encoded
        })

    static let userList = UnaryMethod(
        service: name, name: "UserList",
        decode: { bytes, _ in
            _ = try Etcdserverpb_AuthUserListRequest(serializedBytes: bytes)
            return .authUsers
        },
        encode: { body, header, _ in
            guard case .authUsers(let users) = body else { UnaryMethod.mismatch(body, "UserList") }
            var response = Etcdserverpb_AuthUserListResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.users = users.map(\.text)
            return response.encoded
        })

    static let roleGet = UnaryMethod(
        service: name, name: "RoleGet",
        decode: { bytes, _ in .authRole(AuthName(try Etcdserverpb_AuthRoleGetRequest(serializedBytes: bytes).role)) },
        encode: { body, header, _ in
            guard case .authRole(let permissions) = body else { UnaryMethod.mismatch(body, "RoleGet") }
            var response = Etcdserverpb_AuthRoleGetResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.perm = permissions.map(Translation.permission)
            return response.encoded
        })

    static let roleList = UnaryMethod(
        service: name, name: "RoleList",
        decode: { bytes, _ in
            _ = try Etcdserverpb_AuthRoleListRequest(serializedBytes: bytes)
            return .authRoles
        },
        encode: { body, header, _ in
            guard case .authRoles(let roles) = body else { UnaryMethod.mismatch(body, "RoleList") }
            var response = Etcdserverpb_AuthRoleListResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.roles = roles.map(\.text)
            return response.encoded
        })

    static let unary = [
        enable, disable, status, userGet, userList, userDelete, userGrantRole, userRevokeRole, roleAdd, roleGet,
        roleList, roleDelete, roleGrantPermission, roleRevokePermission,
    ]

    // MARK: Passwords

    static let authenticate = ProcedureMethod(service: name, name: "Authenticate") { bytes, options in
        let message = try Etcdserverpb_AuthenticateRequest(serializedBytes: bytes)
        return AuthenticateProcedure(
            user: message.name, password: message.password, issue: tokenIssue(to: message.name, options.tokens))
    }

    private static func tokenIssue(to user: String, _ signer: TokenSigner?) -> TokenIssue {
        guard let signer else {
            var generator = SystemRandomNumberGenerator()
            return .remembered(TokenIssue.draw(using: &generator))
        }
        return signer.canSign ? .signed { try signer.issue(user: user, authRevision: $0) } : .refused
    }

    /// A hash that the client made itself is ignored, as in etcd.
    static let userAdd = ProcedureMethod(service: name, name: "UserAdd") { bytes, _ in
        let message = try Etcdserverpb_AuthUserAddRequest(serializedBytes: bytes)
        let user = AuthName(message.name)
        guard !message.options.noPassword else {
            return AuthorizedProcedure(
                .root, then: .write(.auth(.userAdd(user, passwordHash: "", hasNoPassword: true)))
            ) { _, fields in headerOnly(fields, \Etcdserverpb_AuthUserAddResponse.header) }
        }
        return PasswordChangeProcedure(
            password: message.password,
            operation: { .userAdd(user, passwordHash: $0, hasNoPassword: false) },
            response: { headerOnly($0, \Etcdserverpb_AuthUserAddResponse.header) })
    }

    static let userChangePassword = ProcedureMethod(service: name, name: "UserChangePassword") { bytes, _ in
        let message = try Etcdserverpb_AuthUserChangePasswordRequest(serializedBytes: bytes)
        let user = AuthName(message.name)
        return PasswordChangeProcedure(
            password: message.password, operation: { .userChangePassword(user, passwordHash: $0) },
            response: { headerOnly($0, \Etcdserverpb_AuthUserChangePasswordResponse.header) })
    }

    static let procedures = [authenticate, userAdd, userChangePassword]
}
