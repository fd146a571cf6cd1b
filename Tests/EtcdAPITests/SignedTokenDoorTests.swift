import EtcdProto
import Foundation
import GRPC
import RegistryModel
import SignedTokens
import SwiftProtobuf
import Synchronization
import Testing

@testable import EtcdAPI

/// `--auth-token jwt` at the door: the member sees users, not tokens.
@Suite(.timeLimit(.minutes(1))) struct SignedTokenDoorTests {
    private static let secret = KeyFile(path: "secret", bytes: Array("between the members".utf8))
    private static let publicKey = KeyFile(
        path: "a.pub",
        bytes: Array(
            """
            -----BEGIN PUBLIC KEY-----
            MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
            -----END PUBLIC KEY-----
            """.utf8))

    private final class Clock: Sendable {
        private let seconds = Mutex(1_800_000_000.0)
        var now: Double { seconds.withLock { $0 } }
        func advance(_ by: Double) { seconds.withLock { $0 += by } }
    }

    private static func signer(_ clock: Clock) throws -> TokenSigner {
        try TokenSigner(.hs256, publicKey: nil, privateKey: secret, lifetimeSeconds: 60, clock: { clock.now })
    }

    private func with(
        _ signer: TokenSigner, _ body: (LoopbackDoor) async throws -> Void
    ) async throws {
        var options = EtcdDoorOptions()
        options.bcryptCost = 4
        options.tokens = signer
        try await LoopbackDoor.with(options: options, body)
    }

    /// What the member was told about the asker of the one range request that this sends.
    private func credential(_ door: LoopbackDoor, _ metadata: Metadata) async throws -> Credential? {
        let request = Etcdserverpb_RangeRequest.with { $0.key = .init([97]) }
        _ = try await door.call(
            "/etcdserverpb.KV/Range", request, metadata: metadata, as: Etcdserverpb_RangeResponse.self)
        return door.registry.submitted.last?.context.credential
    }

    @Test("A login's token is signed, with the auth revision at which it was counted; the members learn none")
    func login() async throws {
        let clock = Clock()
        let signer = try Self.signer(clock)
        let hash = try #require(BCrypt.hash(Array("secret".utf8), cost: 4, salt: [UInt8](repeating: 7, count: 16)))
        try await with(signer) { door async throws in
            door.registry.script { request in
                switch request {
                case .passwordRecord: .success(.passwordRecord(PasswordRecord(hash: hash, authRevision: 5)))
                case .write(.auth(.authenticate("ann", let token, let revision))):
                    .success(.authenticated(token: token, authRevision: revision))
                default: nil
                }
            }
            let request = Etcdserverpb_AuthenticateRequest.with {
                $0.name = "ann"
                $0.password = "secret"
            }
            let answer = try await door.call(
                "/etcdserverpb.Auth/Authenticate", request, as: Etcdserverpb_AuthenticateResponse.self)
            let claims = try #require(signer.claims(of: answer.token))
            #expect(claims.user == "ann" && claims.authRevision == 5)
            #expect(claims.isValid(at: clock.now + 59) && !claims.isValid(at: clock.now + 60))
            guard case .write(.auth(.authenticate("ann", "", 5)))? = door.registry.submitted.last?.request else {
                Issue.record("unexpected: \(String(describing: door.registry.submitted.last?.request))")
                return
            }
        }
    }

    @Test("A member that can only verify judges the password first, then says so in etcd's words")
    func verifyOnly() async throws {
        let signer = try TokenSigner(.edDSA, publicKey: Self.publicKey, privateKey: nil, lifetimeSeconds: 60)
        let hash = try #require(BCrypt.hash(Array("secret".utf8), cost: 4, salt: [UInt8](repeating: 7, count: 16)))
        try await with(signer) { door async throws in
            door.registry.script { request in
                if case .passwordRecord = request {
                    .success(.passwordRecord(PasswordRecord(hash: hash, authRevision: 5)))
                } else {
                    nil
                }
            }
            for (password, refusal) in [
                ("secret", GRPCStatus(.unknown, "auth: token signing attempted with verify-only key")),
                ("Secret", ErrorTable.status(Rejection(.authenticationFailed))),
            ] {
                let request = Etcdserverpb_AuthenticateRequest.with {
                    $0.name = "ann"
                    $0.password = password
                }
                #expect(try await door.failure("/etcdserverpb.Auth/Authenticate", request) == refusal)
            }
        }
    }

    @Test("The member is told the user of a good token, wherever the token stands, and nothing of any other")
    func requests() async throws {
        let clock = Clock()
        let signer = try Self.signer(clock)
        let token = try signer.issue(user: "ann", authRevision: 9)
        let ann = Credential.verified(user: "ann", authRevision: 9)
        try await with(signer) { door async throws in
            for metadata in [
                Metadata(["token": token]), Metadata(["authorization": token]),
                Metadata(["authorization": "Bearer " + token]),
            ] {
                #expect(try await credential(door, metadata) == ann)
            }
            #expect(try await credential(door, Metadata()) == Credential.none)
            for bad in [token + "A", "x.99999", "", "garbage"] {
                #expect(try await credential(door, Metadata(["token": bad])) == .token(""))
            }
            clock.advance(60)
            #expect(try await credential(door, Metadata(["token": token])) == .token(""))
        }
    }

    @Test("A stream of keep-alives does not outlive its token")
    func keepAlive() async throws {
        let clock = Clock()
        let signer = try Self.signer(clock)
        let token = try signer.issue(user: "ann", authRevision: 9)
        let ann = Credential.verified(user: "ann", authRevision: 9)
        try await with(signer) { door async throws in
            let stream = door.stream(
                "/etcdserverpb.Lease/LeaseKeepAlive", metadata: Metadata(["token": token]),
                Etcdserverpb_LeaseKeepAliveRequest.self, Etcdserverpb_LeaseKeepAliveResponse.self)
            for credential in [ann, ann, .token(""), .token("")] {
                try stream.send(.with { $0.id = 7 })
                _ = try await stream.next()
                #expect(door.registry.submitted.last?.context.credential == credential)
                clock.advance(40)
            }
        }
    }
}
