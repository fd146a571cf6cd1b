import EtcdProto
import Foundation
import SwiftProtobuf

/// What somebody may do on a server, found out by calls that change nothing. Each method answers with the server's
/// refusal, or nil.
struct Rights {
    private let session: Session
    private let credential: String?

    init(_ session: Session, _ credential: String?) {
        self.session = session
        self.credential = credential
    }

    func root() async throws -> Answer? {
        let list = UnaryCall(
            "Auth/UserList", Etcdserverpb_AuthUserListRequest(), answeredBy: Etcdserverpb_AuthUserListResponse.self,
            credential: credential)
        let answer = try await list.play(on: session)
        return answer.isOK ? nil : answer
    }

    /// Whether it is anybody.
    func user() async throws -> Answer? {
        guard let refused = try await toRead(Data("a".utf8), Data()) else { return nil }
        return refused.status.contains("permission denied") ? nil : refused
    }

    func toRead(_ key: Data, _ end: Data) async throws -> Answer? {
        var operation = Etcdserverpb_RequestOp()
        operation.requestRange.key = key
        operation.requestRange.rangeEnd = end
        return try await to(operation)
    }

    func toWrite(_ key: Data) async throws -> Answer? {
        var operation = Etcdserverpb_RequestOp()
        operation.requestPut.key = key
        return try await to(operation)
    }

    /// The rights to both branches are looked at, whichever is carried out.
    private func to(_ operation: Etcdserverpb_RequestOp) async throws -> Answer? {
        var request = Etcdserverpb_TxnRequest()
        request.failure = [operation]
        let answer = try await Refusal.UserTxn("KV/Txn", request, credential: credential).play(on: session)
        return answer.isOK ? nil : answer
    }

    // MARK: Leases

    func toReadKeys(of leases: [Int64]) async throws -> Answer? {
        if let refused = try await user() { return refused }
        guard try await root() != nil else { return nil }
        for lease in leases {
            for key in try await keys(of: lease) {
                if let refused = try await toRead(key, Data()) { return refused }
            }
        }
        return nil
    }

    func toReadAllKeysOfLeases() async throws -> Answer? {
        let bytes = try await session.ask("Lease/LeaseLeases", Etcdserverpb_LeaseLeasesRequest())
        return try await toReadKeys(of: Etcdserverpb_LeaseLeasesResponse(serializedBytes: bytes).leases.map(\.id))
    }

    func toWriteKeys(of lease: Int64) async throws -> Answer? {
        if let refused = try await user() { return refused }
        guard try await root() != nil else { return nil }
        for key in try await keys(of: lease) {
            if let refused = try await toWrite(key) { return refused }
        }
        return nil
    }

    /// By the number of the sequence or the server's own.
    private func keys(of lease: Int64) async throws -> [Data] {
        var request = Etcdserverpb_LeaseTimeToLiveRequest()
        request.id = lease
        request.keys = true
        request.rename(session.renaming(.toServer))
        let answer = try await session.unary(
            "/etcdserverpb.Lease/LeaseTimeToLive", request.serializedBytes(),
            credential: try await session.administrator())
        guard case .success(let bytes) = answer else { return [] }
        return try Etcdserverpb_LeaseTimeToLiveResponse(serializedBytes: bytes).keys
    }

    // MARK: Transactions

    /// In the order in which 3.6 looks.
    func to(do request: Etcdserverpb_TxnRequest) async throws -> Answer? {
        for compare in request.compare {
            if let refused = try await toRead(compare.key, compare.rangeEnd) { return refused }
        }
        for operation in request.success + request.failure {
            if let refused = try await to(do: operation) { return refused }
        }
        return nil
    }

    private func to(do operation: Etcdserverpb_RequestOp) async throws -> Answer? {
        switch operation.request {
        case .requestTxn(let inner): return try await to(do: inner)
        case .requestPut(let put):
            if let refused = try await toWrite(put.key) { return refused }
            if put.lease != 0, let refused = try await toWriteKeys(of: put.lease) { return refused }
            return try await put.prevKv ? toRead(put.key, Data()) : nil
        case .requestRange(let range): return try await toRead(range.key, range.rangeEnd)
        case .requestDeleteRange: return try await to(operation)
        case nil: return nil
        }
    }
}
