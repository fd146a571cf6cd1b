import EtcdProto
import Foundation
import Primitives
import SwiftProtobuf

/// Users, roles and permissions, with existing and with missing names; logins with right and wrong passwords;
/// authentication switched on and off.
///
/// A sequence starts with root, a few others and authentication on; what follows may undo all of it.
struct AuthFamily: CallFamily {
    let weight: UInt64 = 40

    /// Those that root may have in a sequence.
    static let rootPasswords = ["secret", "other", ""]
    private static let passwords = ["secret", "other", "wrong"]
    /// Whoever asks: mostly one who has logged in.
    static let senders: [String?] = ["root", "root", "alice", "alice", "bob", "guest", "nobody", nil]
    private static let users = ["root", "alice", "bob", "guest", "nobody", ""]
    /// Each begins at another key. Normalisation "granted again": etcd knows an interval again only if it is the first
    /// one at its key, else the role has it twice.
    private static let intervals = [("a", "c"), ("ab", ""), ("b", ""), ("b/", "b0"), ("k", "\0"), ("\0", "\0")]
    private static let noIntervals = [("", ""), ("", "z"), ("b", "b"), ("b", "a"), ("k", "\0\0")]
    private static let roles = ["root", "reader", "writer", "both", "nothing", ""]

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        if !plan.hasUsers {
            plan.hasUsers = true
            if !random.oneIn(8) { return Self.beginning }
        }
        switch random.below(20) {
        case 0...5: return [login(&random)]
        case 6...10: return [userChange(&random)]
        case 11...14: return [roleChange(&random)]
        case 15...17: return [question(&random)]
        case 18: return Self.switchedOn
        default:
            return [
                call("AuthDisable", Etcdserverpb_AuthDisableRequest(), Etcdserverpb_AuthDisableResponse.self, &random)
            ]
        }
    }

    // MARK: The beginning

    private static var beginning: [any Call] {
        var calls: [any Call] = [
            userAdd("root", "secret"), grant(role: "root", to: "root"),
            userAdd("alice", "secret"), userAdd("bob", "other"), guest,
            roleAdd("reader"), roleAdd("writer"), roleAdd("both"),
            permission("reader", .read, "a", "c"), permission("writer", .write, "b", ""),
            permission("both", .readwrite, "b/", "b0"), permission("both", .read, "k", "\0"),
            grant(role: "reader", to: "alice"), grant(role: "both", to: "alice"), grant(role: "writer", to: "bob"),
        ]
        calls += switchedOn
        calls.append(Login(user: "alice", password: "secret"))
        calls.append(Login(user: "bob", password: "other"))
        return calls
    }

    private static let switchedOn: [any Call] = [
        UnaryCall(
            "Auth/AuthEnable", Etcdserverpb_AuthEnableRequest(), answeredBy: Etcdserverpb_AuthEnableResponse.self,
            credential: "root"),
        Login(user: "root", password: "secret"), Login(user: "root", password: "other"),
    ]

    private static func userAdd(_ name: String, _ password: String) -> any Call {
        var request = Etcdserverpb_AuthUserAddRequest()
        request.name = name
        request.password = password
        return UnaryCall("Auth/UserAdd", request, answeredBy: Etcdserverpb_AuthUserAddResponse.self)
    }

    /// Who has no password and can only come by a certificate.
    private static var guest: any Call {
        var request = Etcdserverpb_AuthUserAddRequest()
        request.name = "guest"
        request.options.noPassword = true
        return UnaryCall("Auth/UserAdd", request, answeredBy: Etcdserverpb_AuthUserAddResponse.self)
    }

    private static func grant(role: String, to user: String) -> any Call {
        var request = Etcdserverpb_AuthUserGrantRoleRequest()
        request.user = user
        request.role = role
        return UnaryCall("Auth/UserGrantRole", request, answeredBy: Etcdserverpb_AuthUserGrantRoleResponse.self)
    }

    private static func roleAdd(_ name: String) -> any Call {
        var request = Etcdserverpb_AuthRoleAddRequest()
        request.name = name
        return UnaryCall("Auth/RoleAdd", request, answeredBy: Etcdserverpb_AuthRoleAddResponse.self)
    }

    private static func permission(
        _ role: String, _ kind: Authpb_Permission.TypeEnum, _ key: String, _ end: String
    ) -> any Call {
        var request = Etcdserverpb_AuthRoleGrantPermissionRequest()
        request.name = role
        request.perm.permType = kind
        request.perm.key = Data(key.utf8)
        request.perm.rangeEnd = Data(end.utf8)
        return UnaryCall(
            "Auth/RoleGrantPermission", request, answeredBy: Etcdserverpb_AuthRoleGrantPermissionResponse.self)
    }

    // MARK: Draws

    private func call<Request: Replayable, Response: Replayable>(
        _ method: String, _ request: Request, _ response: Response.Type, _ random: inout SeededGenerator
    ) -> any Call {
        // Mostly by somebody who may.
        let sender = random.oneIn(3) ? random.one(of: Self.senders) : "root"
        return UnaryCall("Auth/\(method)", request, answeredBy: response, credential: sender)
    }

    private func login(_ random: inout SeededGenerator) -> any Call {
        let password = random.oneIn(8) ? "" : random.one(of: Self.passwords)
        return Login(user: random.one(of: Self.users), password: password)
    }

    private func userChange(_ random: inout SeededGenerator) -> any Call {
        let user = random.one(of: Self.users)
        switch random.below(8) {
        case 0, 1:
            var request = Etcdserverpb_AuthUserAddRequest()
            request.name = user
            request.password = random.oneIn(10) ? "" : random.one(of: ["secret", "other"])
            if user != "root", random.oneIn(6) { request.options.noPassword = random.oneIn(2) }
            return call("UserAdd", request, Etcdserverpb_AuthUserAddResponse.self, &random)
        case 2:
            var request = Etcdserverpb_AuthUserDeleteRequest()
            request.name = user
            return call("UserDelete", request, Etcdserverpb_AuthUserDeleteResponse.self, &random)
        case 3:
            var request = Etcdserverpb_AuthUserChangePasswordRequest()
            request.name = user
            request.password = random.one(of: ["secret", "other"])
            return call("UserChangePassword", request, Etcdserverpb_AuthUserChangePasswordResponse.self, &random)
        case 4...6:
            var request = Etcdserverpb_AuthUserGrantRoleRequest()
            request.user = user
            request.role = random.one(of: Self.roles)
            return call("UserGrantRole", request, Etcdserverpb_AuthUserGrantRoleResponse.self, &random)
        default:
            var request = Etcdserverpb_AuthUserRevokeRoleRequest()
            request.name = user
            request.role = random.one(of: Self.roles)
            return call("UserRevokeRole", request, Etcdserverpb_AuthUserRevokeRoleResponse.self, &random)
        }
    }

    private func roleChange(_ random: inout SeededGenerator) -> any Call {
        let role = random.one(of: Self.roles)
        switch random.below(8) {
        case 0, 1:
            var request = Etcdserverpb_AuthRoleAddRequest()
            request.name = role
            return call("RoleAdd", request, Etcdserverpb_AuthRoleAddResponse.self, &random)
        case 2:
            var request = Etcdserverpb_AuthRoleDeleteRequest()
            request.role = role
            return call("RoleDelete", request, Etcdserverpb_AuthRoleDeleteResponse.self, &random)
        case 3, 4:
            var request = Etcdserverpb_AuthRoleRevokePermissionRequest()
            request.role = role
            (request.key, request.rangeEnd) = interval(&random)
            return call("RoleRevokePermission", request, Etcdserverpb_AuthRoleRevokePermissionResponse.self, &random)
        default:
            var request = Etcdserverpb_AuthRoleGrantPermissionRequest()
            request.name = role
            if !random.oneIn(20) {
                request.perm.permType = random.one(of: [.read, .write, .readwrite])
                (request.perm.key, request.perm.rangeEnd) = interval(&random)
            }
            return call("RoleGrantPermission", request, Etcdserverpb_AuthRoleGrantPermissionResponse.self, &random)
        }
    }

    private func interval(_ random: inout SeededGenerator) -> (key: Data, end: Data) {
        let choice = random.oneIn(8) ? Self.noIntervals : Self.intervals
        let (key, end) = random.one(of: choice)
        return (Data(key.utf8), Data(end.utf8))
    }

    private func question(_ random: inout SeededGenerator) -> any Call {
        switch random.below(6) {
        case 0:
            return call("UserList", Etcdserverpb_AuthUserListRequest(), Etcdserverpb_AuthUserListResponse.self, &random)
        case 1:
            return call("RoleList", Etcdserverpb_AuthRoleListRequest(), Etcdserverpb_AuthRoleListResponse.self, &random)
        case 2, 3:
            // Everybody may look at himself.
            let user = random.one(of: Self.users)
            return Self.userGet(user, credential: random.oneIn(2) ? user : random.one(of: Self.senders))
        default: return Self.roleGet(random.one(of: Self.roles), credential: random.one(of: Self.senders))
        }
    }

    private static func userGet(_ user: String, credential: String?) -> any Call {
        var request = Etcdserverpb_AuthUserGetRequest()
        request.name = user
        return UnaryCall(
            "Auth/UserGet", request, answeredBy: Etcdserverpb_AuthUserGetResponse.self, credential: credential)
    }

    private static func roleGet(_ role: String, credential: String?) -> any Call {
        var request = Etcdserverpb_AuthRoleGetRequest()
        request.role = role
        return UnaryCall(
            "Auth/RoleGet", request, answeredBy: Etcdserverpb_AuthRoleGetResponse.self, credential: credential)
    }

    // MARK: The end

    /// Everything there is, as root sees it.
    var closing: [any Call] {
        var calls: [any Call] = Self.rootPasswords.map { Login(user: "root", password: $0) }
        calls.append(
            UnaryCall(
                "Auth/UserList", Etcdserverpb_AuthUserListRequest(), answeredBy: Etcdserverpb_AuthUserListResponse.self,
                credential: "root"))
        calls.append(
            UnaryCall(
                "Auth/RoleList", Etcdserverpb_AuthRoleListRequest(), answeredBy: Etcdserverpb_AuthRoleListResponse.self,
                credential: "root"))
        for user in Self.users { calls.append(Self.userGet(user, credential: "root")) }
        for role in Self.roles { calls.append(Self.roleGet(role, credential: "root")) }
        return calls
    }

    func reset(_ session: Session) async throws {
        try await session.learnAuthentication()
        let end = try await session.ask("Auth/AuthDisable", Etcdserverpb_AuthDisableRequest())
        _ = try session.comparable(Etcdserverpb_AuthDisableResponse.self, end)
        let users = try await session.ask("Auth/UserList", Etcdserverpb_AuthUserListRequest())
        for user in try Etcdserverpb_AuthUserListResponse(serializedBytes: users).users {
            var request = Etcdserverpb_AuthUserDeleteRequest()
            request.name = user
            try await session.ask("Auth/UserDelete", request)
        }
        let roles = try await session.ask("Auth/RoleList", Etcdserverpb_AuthRoleListRequest())
        for role in try Etcdserverpb_AuthRoleListResponse(serializedBytes: roles).roles {
            var request = Etcdserverpb_AuthRoleDeleteRequest()
            request.role = role
            try await session.ask("Auth/RoleDelete", request)
        }
    }
}

/// A login, whose token later calls of that user send along.
struct Login: Call {
    var user: String
    var password: String

    let kind = "Auth/Authenticate"
    var description: String { "\(kind) of '\(user)' with '\(password)'" }

    func play(on session: Session) async throws -> Answer {
        var request = Etcdserverpb_AuthenticateRequest()
        request.name = user
        request.password = password
        switch try await session.unary("/etcdserverpb.\(kind)", request.serializedBytes()) {
        case .failure(let status): return Answer(status)
        case .success(let bytes):
            session.keep(token: try Etcdserverpb_AuthenticateResponse(serializedBytes: bytes).token, as: user)
            return Answer(body: try session.comparable(Etcdserverpb_AuthenticateResponse.self, bytes).readable)
        }
    }
}
