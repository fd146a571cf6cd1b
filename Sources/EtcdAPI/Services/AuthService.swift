import EtcdProto
import RegistryModel
import SignedTokens
import SwiftProtobuf

/// `etcdserverpb.Auth`: users, roles, rights and logins. Whatever involves a password is a procedure.
enum AuthService {
    static let name = "etcdserverpb.Auth"

    // MARK: Changes

    static let enable = change("AuthEnable", \Etcdserverpb_AuthEnableResponse.header) {
        (_: Etcdserverpb_AuthEnableRequest) in .enable
    }

    static let disable = change("AuthDisable", \Etcdserverpb_AuthDisableResponse.header) {
        (_: Etcdserverpb_AuthDisableRequest) in .disable
    }

    static let userDelete = change("UserDelete", \Etcdserverpb_AuthUserDeleteResponse.header) {
        (message: Etcdserverpb_AuthUserDeleteRequest) in .userDelete(AuthName(message.name))
    }

    static let userGrantRole = change("UserGrantRole", \Etcdserverpb_AuthUserGrantRoleResponse.header) {
        (message: Etcdserverpb_AuthUserGrantRoleRequest) in
        .userGrantRole(user: AuthName(message.user), role: AuthName(message.role))
    }

    static let userRevokeRole = change("UserRevokeRole", \Etcdserverpb_AuthUserRevokeRoleResponse.header) {
        (message: Etcdserverpb_AuthUserRevokeRoleRequest) in
        .userRevokeRole(user: AuthName(message.name), role: AuthName(message.role))
    }

    static let roleAdd = change("RoleAdd", \Etcdserverpb_AuthRoleAddResponse.header) {
        (message: Etcdserverpb_AuthRoleAddRequest) in .roleAdd(AuthName(message.name))
    }

    static let roleDelete = change("RoleDelete", \Etcdserverpb_AuthRoleDeleteResponse.header) {
        (message: Etcdserverpb_AuthRoleDeleteRequest) in .roleDelete(AuthName(message.role))
    }

    static let roleGrantPermission = change(
        "RoleGrantPermission", \Etcdserverpb_AuthRoleGrantPermissionResponse.header
    ) { (message: Etcdserverpb_AuthRoleGrantPermissionRequest) in
        .roleGrantPermission(
            role: AuthName(message.name), message.hasPerm ? try Translation.permission(message.perm) : nil)
    }

    static let roleRevokePermission = change(
        "RoleRevokePermission", \Etcdserverpb_AuthRoleRevokePermissionResponse.header
    ) { (message: Etcdserverpb_AuthRoleRevokePermissionRequest) in
        .roleRevokePermission(
            role: AuthName(message.role), KeyRange(key: [UInt8](message.key), rangeEnd: [UInt8](message.rangeEnd)))
    }

    // MARK: Reads

    static let status = method("AuthStatus", \Etcdserverpb_AuthStatusResponse.header) {
        (_: Etcdserverpb_AuthStatusRequest) in
        .authStatus
    } answer: { body, response in
        guard case .authStatus(let isEnabled, let revision) = body else { return false }
        response.enabled = isEnabled
        response.authRevision = revision
        return true
    }

    static let userGet = method("UserGet", \Etcdserverpb_AuthUserGetResponse.header) {
        (message: Etcdserverpb_AuthUserGetRequest) in
        .authUser(AuthName(message.name))
    } answer: { body, response in
        guard case .authUser(let roles) = body else { return false }
        response.roles = roles.map(\.text)
        return true
    }

    static let userList = method("UserList", \Etcdserverpb_AuthUserListResponse.header) {
        (_: Etcdserverpb_AuthUserListRequest) in
        .authUsers
    } answer: { body, response in
        guard case .authUsers(let users) = body else { return false }
        response.users = users.map(\.text)
        return true
    }

    static let roleGet = method("RoleGet", \Etcdserverpb_AuthRoleGetResponse.header) {
        (message: Etcdserverpb_AuthRoleGetRequest) in
        .authRole(AuthName(message.role))
    } answer: { body, response in
        guard case .authRole(let permissions) = body else { return false }
        response.perm = permissions.map(Translation.permission)
        return true
    }

    static let roleList = method("RoleList", \Etcdserverpb_AuthRoleListResponse.header) {
        (_: Etcdserverpb_AuthRoleListRequest) in
        .authRoles
    } answer: { body, response in
        guard case .authRoles(let roles) = body else { return false }
        response.roles = roles.map(\.text)
        return true
    }

    static let unary = [
        enable, disable, status, userGet, userList, userDelete, userGrantRole, userRevokeRole, roleAdd, roleGet,
        roleList, roleDelete, roleGrantPermission, roleRevokePermission,
    ]

    // MARK: Their shape

    private typealias Header<Response> = WritableKeyPath<Response, Etcdserverpb_ResponseHeader> & Sendable

    /// - Parameter answer: fills in the response; false for a body of another method.
    private static func method<Asked: Message, Response: Message>(
        _ name: StaticString, _ header: any Header<Response>, request: @escaping @Sendable (Asked) throws -> Request,
        answer: @escaping @Sendable (ReplyBody, inout Response) -> Bool
    ) -> UnaryMethod {
        UnaryMethod(
            service: Self.name, name: name.description,
            decode: { bytes, _ in try request(try Asked(serializedBytes: bytes)) },
            encode: { body, fields, _ in
                var response = Response()
                response[keyPath: header] = Etcdserverpb_ResponseHeader(fields)
                guard answer(body, &response) else { UnaryMethod.mismatch(body, name) }
                return response.encoded
            })
    }

    /// A change, whose answer has nothing but a header.
    private static func change<Asked: Message, Response: Message>(
        _ name: StaticString, _ header: any Header<Response>,
        operation: @escaping @Sendable (Asked) throws -> AuthOperation
    ) -> UnaryMethod {
        method(name, header) { (message: Asked) in
            .write(.auth(try operation(message)))
        } answer: { body, _ in
            if case .authChanged = body { true } else { false }
        }
    }

    private static func headerOnly<Response: Message>(
        _ fields: HeaderFields, _ header: WritableKeyPath<Response, Etcdserverpb_ResponseHeader>
    ) -> [UInt8] {
        var response = Response()
        response[keyPath: header] = Etcdserverpb_ResponseHeader(fields)
        return response.encoded
    }

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
