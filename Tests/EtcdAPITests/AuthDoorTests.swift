import EtcdProto
import Foundation
import GRPC
import NIOCore
import Primitives
import RegistryModel
import SwiftProtobuf
import Synchronization
import Testing

@testable import EtcdAPI

/// Users and roles as the member would keep them, for one test.
private final class MemoryAuth: Sendable {
    private struct State {
        var hashes: [AuthName: String] = [:]
        var revision: UInt64 = 1
        /// Logins refused as too old, before one is taken.
        var staleLogins = 0
        var operations: [AuthOperation] = []
    }

    private let state = Mutex(State())

    var operations: [AuthOperation] { state.withLock { $0.operations } }

    func refuseLogins(_ count: Int) {
        state.withLock { $0.staleLogins = count }
    }

    func answer(_ request: Request) -> Result<ReplyBody, Rejection>? {
        state.withLock { state in
            switch request {
            case .passwordRecord(let user):
                guard let hash = state.hashes[user] else { return .failure(Rejection(.authenticationFailed)) }
                return .success(.passwordRecord(PasswordRecord(hash: hash, authRevision: state.revision)))
            case .write(.auth(let operation)):
                state.operations.append(operation)
                switch operation {
                case .userAdd(let user, let hash, _), .userChangePassword(let user, let hash):
                    state.hashes[user] = hash
                    state.revision += 1
                case .authenticate(_, let token, let revision):
                    if state.staleLogins > 0 {
                        state.staleLogins -= 1
                        return .failure(Rejection(.authRevisionOld))
                    }
                    return .success(.authenticated(token: token + ".17", authRevision: revision))
                default: break
                }
                return .success(.authChanged)
            default: return nil
            }
        }
    }
}

/// `etcdserverpb.Auth` over a real connection.
@Suite(.timeLimit(.minutes(2))) struct AuthDoorTests {
    private static let auth = "/etcdserverpb.Auth/"

    private func with(_ body: (LoopbackDoor, MemoryAuth) async throws -> Void) async throws {
        var options = EtcdDoorOptions()
        options.bcryptCost = 4
        let memory = MemoryAuth()
        try await LoopbackDoor.with(options: options) { door async throws in
            door.registry.script { memory.answer($0) }
            try await body(door, memory)
        }
    }

    private func add(_ door: LoopbackDoor, _ name: String, _ password: String, noPassword: Bool = false) async throws
        -> GRPCStatus?
    {
        try await door.failure(
            Self.auth + "UserAdd",
            Etcdserverpb_AuthUserAddRequest.with {
                $0.name = name
                $0.password = password
                $0.options.noPassword = noPassword
                $0.hashedPassword = "bWluZQ=="
            })
    }

    private func login(_ door: LoopbackDoor, _ name: String, _ password: String) async throws -> String {
        try await door.call(
            Self.auth + "Authenticate",
            Etcdserverpb_AuthenticateRequest.with {
                $0.name = name
                $0.password = password
            }, as: Etcdserverpb_AuthenticateResponse.self
        ).token
    }

    @Test("A password is replaced by its hash before the member sees it; the client's own hash is ignored")
    func userAdd() async throws {
        try await with { door, memory in
            #expect(try await add(door, "ann", "secret") == nil)
            guard case .userAdd("ann", let hash, false)? = memory.operations.last else {
                Issue.record("unexpected: \(memory.operations)")
                return
            }
            #expect(hash.hasPrefix("$2b$04$") && hash.utf8.count == 60)
            #expect(BCrypt.verify(Array("secret".utf8), hash))
            #expect(try await add(door, "bob", "secret") == nil)
            guard case .userAdd("bob", let other, false)? = memory.operations.last else { return }
            #expect(other != hash, "a salt of its own")
            #expect(try await add(door, "cert", "ignored", noPassword: true) == nil)
            #expect(memory.operations.last == .userAdd("cert", passwordHash: "", hasNoPassword: true))
            let changed = try await door.failure(
                Self.auth + "UserChangePassword",
                Etcdserverpb_AuthUserChangePasswordRequest.with {
                    $0.name = "ann"
                    $0.password = "new"
                })
            #expect(changed == nil)
            guard case .userChangePassword("ann", let new)? = memory.operations.last else {
                Issue.record("unexpected: \(memory.operations)")
                return
            }
            #expect(BCrypt.verify(Array("new".utf8), new) && !BCrypt.verify(Array("secret".utf8), new))
        }
    }

    @Test("The right password brings a token of 16 letters, a dot and the entry's index; the wrong one does not")
    func authenticate() async throws {
        try await with { door, memory in
            _ = try await add(door, "ann", "secret")
            let token = try await login(door, "ann", "secret")
            let parts = token.split(separator: ".")
            #expect(parts.count == 2 && parts[1] == "17")
            #expect(parts[0].count == 16 && parts[0].allSatisfy { $0.isASCII && $0.isLetter })
            #expect(memory.operations.last == .authenticate("ann", token: String(parts[0]), revision: 2))
            #expect(try await login(door, "ann", "secret") != token)
            let count = memory.operations.count
            let refusal = GRPCStatus(
                .invalidArgument, "etcdserver: authentication failed, invalid user ID or password")
            for (name, password) in [("ann", "Secret"), ("ann", ""), ("nobody", "secret"), ("ann", "secret\0x")] {
                let request = Etcdserverpb_AuthenticateRequest.with {
                    $0.name = name
                    $0.password = password
                }
                #expect(try await door.failure(Self.auth + "Authenticate", request) == refusal)
            }
            #expect(memory.operations.count == count, "a wrong password is not replicated")
        }
    }

    @Test("A login that was overtaken by a change of users is judged again")
    func overtaken() async throws {
        try await with { door, memory in
            _ = try await add(door, "ann", "secret")
            memory.refuseLogins(2)
            _ = try await login(door, "ann", "secret")
            #expect(memory.operations.count == 4)
            let tokens = Set(
                memory.operations.compactMap { operation in
                    if case .authenticate(_, let token, _) = operation { token } else { nil }
                })
            #expect(tokens.count == 1)
        }
    }

    @Test("Without auth there is no login; passwords that no hash can be made of are refused in words")
    func refusals() async throws {
        var options = EtcdDoorOptions()
        options.bcryptCost = 4
        try await LoopbackDoor.with(options: options) { door async throws in
            let request = Etcdserverpb_AuthenticateRequest.with { $0.name = "root" }
            #expect(
                try await door.failure(Self.auth + "Authenticate", request)
                    == GRPCStatus(.failedPrecondition, "etcdserver: authentication is not enabled"))
            #expect(
                try await add(door, "long", String(repeating: "x", count: 73))
                    == GRPCStatus(.unknown, "bcrypt: password length exceeds 72 bytes"))
            #expect(try await add(door, "zero", "a\0b")?.code == .invalidArgument)
            door.registry.script { request in
                if case .authorize(.root) = request { .failure(Rejection(.permissionDenied)) } else { nil }
            }
            #expect(
                try await add(door, "ann", "x") == GRPCStatus(.permissionDenied, "etcdserver: permission denied"))
        }
    }

    @Test("Every change reaches the member as what it is, and its answer has a header")
    func changes() async throws {
        try await with { door, memory in
            let range = Authpb_Permission.with {
                $0.permType = .readwrite
                $0.key = Data("a".utf8)
                $0.rangeEnd = Data([0])
            }
            let open = KeyRange(start: Key("a"), end: .unbounded)
            func check<Response: Message & Sendable>(
                _ method: String, _ request: some Message, _: Response.Type,
                _ header: KeyPath<Response, Etcdserverpb_ResponseHeader>, _ operation: AuthOperation
            ) async throws {
                let answer = try await door.call(Self.auth + method, request, as: Response.self)
                #expect(answer[keyPath: header].memberID == 0xA1, "\(method)")
                #expect(memory.operations.last == operation, "\(method)")
            }
            try await check(
                "AuthEnable", Etcdserverpb_AuthEnableRequest(), Etcdserverpb_AuthEnableResponse.self, \.header, .enable)
            try await check(
                "AuthDisable", Etcdserverpb_AuthDisableRequest(), Etcdserverpb_AuthDisableResponse.self, \.header,
                .disable)
            try await check(
                "UserDelete", Etcdserverpb_AuthUserDeleteRequest.with { $0.name = "u" },
                Etcdserverpb_AuthUserDeleteResponse.self, \.header, .userDelete("u"))
            try await check(
                "UserGrantRole",
                Etcdserverpb_AuthUserGrantRoleRequest.with {
                    $0.user = "u"
                    $0.role = "r"
                }, Etcdserverpb_AuthUserGrantRoleResponse.self, \.header, .userGrantRole(user: "u", role: "r"))
            try await check(
                "UserRevokeRole",
                Etcdserverpb_AuthUserRevokeRoleRequest.with {
                    $0.name = "u"
                    $0.role = "r"
                }, Etcdserverpb_AuthUserRevokeRoleResponse.self, \.header, .userRevokeRole(user: "u", role: "r"))
            try await check(
                "RoleAdd", Etcdserverpb_AuthRoleAddRequest.with { $0.name = "r" },
                Etcdserverpb_AuthRoleAddResponse.self, \.header, .roleAdd("r"))
            try await check(
                "RoleDelete", Etcdserverpb_AuthRoleDeleteRequest.with { $0.role = "r" },
                Etcdserverpb_AuthRoleDeleteResponse.self, \.header, .roleDelete("r"))
            try await check(
                "RoleGrantPermission",
                Etcdserverpb_AuthRoleGrantPermissionRequest.with {
                    $0.name = "r"
                    $0.perm = range
                }, Etcdserverpb_AuthRoleGrantPermissionResponse.self, \.header,
                .roleGrantPermission(role: "r", Permission(kind: .readWrite, range: open)))
            try await check(
                "RoleGrantPermission", Etcdserverpb_AuthRoleGrantPermissionRequest.with { $0.name = "r" },
                Etcdserverpb_AuthRoleGrantPermissionResponse.self, \.header, .roleGrantPermission(role: "r", nil))
            try await check(
                "RoleRevokePermission",
                Etcdserverpb_AuthRoleRevokePermissionRequest.with {
                    $0.role = "r"
                    $0.key = Data("a".utf8)
                    $0.rangeEnd = Data("c".utf8)
                }, Etcdserverpb_AuthRoleRevokePermissionResponse.self, \.header,
                .roleRevokePermission(role: "r", KeyRange(start: Key("a"), end: .before(Key("c")))))
            let unknown = Etcdserverpb_AuthRoleGrantPermissionRequest.with {
                $0.name = "r"
                $0.perm.permType = .UNRECOGNIZED(5)
            }
            #expect(
                try await door.failure(Self.auth + "RoleGrantPermission", unknown)
                    == GRPCStatus(.invalidArgument, "etcdserver: invalid auth management"))
        }
    }

    @Test("Reads show what the member has, an open interval by its zero byte")
    func reads() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.script { request in
                switch request {
                case .authStatus: .success(.authStatus(isEnabled: true, revision: 9))
                case .authUser("ann"): .success(.authUser(roles: ["a", "root"]))
                case .authUsers: .success(.authUsers(["ann", "bob"]))
                case .authRole("r"):
                    .success(
                        .authRole([
                            .root, Permission(kind: .write, range: .key(Key("k"))),
                            Permission(kind: .read, range: KeyRange(start: Key("a"), end: .before(Key("b")))),
                        ]))
                case .authRoles: .success(.authRoles(["r"]))
                default: nil
                }
            }
            let status = try await door.call(
                Self.auth + "AuthStatus", Etcdserverpb_AuthStatusRequest(), as: Etcdserverpb_AuthStatusResponse.self)
            #expect(status.enabled && status.authRevision == 9 && status.header.memberID == 0xA1)
            let user = try await door.call(
                Self.auth + "UserGet", Etcdserverpb_AuthUserGetRequest.with { $0.name = "ann" },
                as: Etcdserverpb_AuthUserGetResponse.self)
            #expect(user.roles == ["a", "root"])
            let users = try await door.call(
                Self.auth + "UserList", Etcdserverpb_AuthUserListRequest(), as: Etcdserverpb_AuthUserListResponse.self)
            #expect(users.users == ["ann", "bob"])
            let role = try await door.call(
                Self.auth + "RoleGet", Etcdserverpb_AuthRoleGetRequest.with { $0.role = "r" },
                as: Etcdserverpb_AuthRoleGetResponse.self)
            #expect(role.perm.map(\.permType) == [.readwrite, .write, .read])
            #expect(role.perm.map(\.key) == [Data(), Data("k".utf8), Data("a".utf8)])
            #expect(role.perm.map(\.rangeEnd) == [Data([0]), Data(), Data("b".utf8)])
            let roles = try await door.call(
                Self.auth + "RoleList", Etcdserverpb_AuthRoleListRequest(), as: Etcdserverpb_AuthRoleListResponse.self)
            #expect(roles.roles == ["r"])
        }
    }
}

/// bcrypt itself, and the thread it runs on.
@Suite(.timeLimit(.minutes(1))) struct PasswordTests {
    @Test("Hashes of other libraries are known, whichever letter they write")
    func vectors() {
        // Source: the test vectors of Go's golang.org/x/crypto/bcrypt and of OpenBSD's bcrypt.
        let go = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"
        #expect(BCrypt.verify(Array("allmine".utf8), go))
        #expect(!BCrypt.verify(Array("allmine ".utf8), go))
        let open = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
        #expect(BCrypt.verify(Array("U*U".utf8), open))
        #expect(BCrypt.verify(Array("U*U".utf8), "$2y$" + open.dropFirst(4)))
    }

    @Test("What is no bcrypt hash fits no password, the empty one included")
    func notHashes() {
        for hash in [
            "", "x", "$2b$", "$2b$04$short", "*0", "$1$abc$def",
            "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ] {
            #expect(!BCrypt.verify([], hash))
            #expect(!BCrypt.verify(Array("U*U".utf8), hash))
        }
    }

    @Test("An empty password is one; long ones are cut only when they are compared")
    func lengths() throws {
        let salt = [UInt8](repeating: 7, count: 16)
        let empty = try #require(BCrypt.hash([], cost: 4, salt: salt))
        #expect(BCrypt.verify([], empty) && !BCrypt.verify([65], empty))
        let full = try #require(BCrypt.hash([UInt8](repeating: 65, count: 72), cost: 4, salt: salt))
        #expect(BCrypt.verify([UInt8](repeating: 65, count: 600), full))
        #expect(BCrypt.hash([UInt8](repeating: 65, count: 73), cost: 4, salt: salt) == nil)
        #expect(BCrypt.hash([65, 0, 66], cost: 4, salt: salt) == nil && !BCrypt.verify([65, 0], full))
    }

    @Test("A full lane refuses work instead of queueing it, and so does one that has ended")
    func bounds() async {
        let lane = PasswordLane(cost: 8, queueMax: 4)
        let outcomes = await withCheckedContinuation { (continuation: CheckedContinuation<[PasswordOutcome], Never>) in
            let seen = Mutex<[PasswordOutcome]>([])
            for _ in 0..<40 {
                _ = lane.submit(.hash(password: "x"), of: "p") { outcome in
                    let all = seen.withLock { seen -> [PasswordOutcome]? in
                        seen.append(outcome)
                        return seen.count == 40 ? seen : nil
                    }
                    if let all { continuation.resume(returning: all) }
                }
            }
        }
        let refused = PasswordOutcome.failed(ErrorTable.status(Rejection(.tooManyRequests)))
        #expect(outcomes.count { $0 == refused } >= 30)
        #expect(outcomes.contains { if case .hashed = $0 { true } else { false } })
        lane.finish()
        let late = await withCheckedContinuation { continuation in
            _ = lane.submit(.hash(password: "x"), of: "p") { continuation.resume(returning: $0) }
        }
        #expect(late == .failed(ErrorTable.status(Rejection(.stopped))))
    }
}
