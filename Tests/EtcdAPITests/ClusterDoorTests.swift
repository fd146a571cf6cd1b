import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// Member changes and alarms through the door: what is asked of the member, and what clients read.
@Suite struct ClusterDoorTests {
    private static let cluster = "/etcdserverpb.Cluster/"
    private static let alarm = "/etcdserverpb.Maintenance/Alarm"
    private static let urls = ["http://10.0.0.2:2380", "http://10.0.0.1:2380"]
    private static let added = MemberDescription(
        id: MemberID(0xB2), name: "", peerURLs: urls.sorted(), clientURLs: [], isLearner: true, promotesItself: true)

    private func lastWrite(_ door: LoopbackDoor) -> Command.Operation? {
        guard case .write(let operation)? = door.registry.submitted.last?.request else { return nil }
        return operation
    }

    @Test("Add asks for a learner that promotes itself unless it is to stay one; the answer has the new one and all")
    func memberAdd() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.script { _ in .success(.memberAdded(Self.added, [MemoryStore.member, Self.added])) }
            for isLearner in [false, true] {
                let answer = try await door.call(
                    Self.cluster + "MemberAdd",
                    Etcdserverpb_MemberAddRequest.with {
                        $0.peerUrls = Self.urls
                        $0.isLearner = isLearner
                    }, as: Etcdserverpb_MemberAddResponse.self)
                var wanted = Self.added
                wanted.id = MemberID(0)
                wanted.promotesItself = !isLearner
                #expect(lastWrite(door) == .memberAdd(wanted), "addresses sorted, the id for the member to draw")
                #expect(answer.header.revision == 0 && answer.header.memberID == 0xA1)
                #expect(answer.member.id == 0xB2 && answer.member.isLearner && answer.member.name.isEmpty)
                #expect(answer.members.map(\.id) == [0xA1, 0xB2])
                #expect(answer.member.peerUrls == Self.urls.sorted())
            }
        }
    }

    @Test("Remove, update and promote answer with all members")
    func memberChanges() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.script { _ in .success(.membersChanged([MemoryStore.member])) }
            let removed = try await door.call(
                Self.cluster + "MemberRemove", Etcdserverpb_MemberRemoveRequest.with { $0.id = .max },
                as: Etcdserverpb_MemberRemoveResponse.self)
            #expect(lastWrite(door) == .memberRemove(MemberID(.max)))
            #expect(removed.members.map(\.name) == ["memory"] && removed.header.revision == 0)
            let updated = try await door.call(
                Self.cluster + "MemberUpdate",
                Etcdserverpb_MemberUpdateRequest.with {
                    $0.id = 5
                    $0.peerUrls = Self.urls
                }, as: Etcdserverpb_MemberUpdateResponse.self)
            #expect(lastWrite(door) == .memberUpdate(MemberID(5), peerURLs: Self.urls.sorted()))
            #expect(updated.members.map(\.name) == ["memory"] && updated.header.revision == 0)
            let promoted = try await door.call(
                Self.cluster + "MemberPromote", Etcdserverpb_MemberPromoteRequest.with { $0.id = 6 },
                as: Etcdserverpb_MemberPromoteResponse.self)
            #expect(lastWrite(door) == .memberPromote(MemberID(6)))
            #expect(promoted.members.map(\.name) == ["memory"] && promoted.header.revision == 0)
        }
    }

    @Test("Addresses that make no sense never reach the member; refusals come in etcd's words")
    func refusals() async throws {
        try await LoopbackDoor.with { door async throws in
            let invalid = GRPCStatus(.invalidArgument, "etcdserver: given member URLs are invalid")
            for urls in [[], ["10.0.0.1:2380"], ["http://10.0.0.1:2380", "http://10.0.0.1"]] {
                let add = Etcdserverpb_MemberAddRequest.with { $0.peerUrls = urls }
                #expect(try await door.failure(Self.cluster + "MemberAdd", add) == invalid)
                let update = Etcdserverpb_MemberUpdateRequest.with { $0.peerUrls = urls }
                #expect(try await door.failure(Self.cluster + "MemberUpdate", update) == invalid)
            }
            #expect(door.registry.submitted.isEmpty)
            door.registry.script { _ in .failure(Rejection(.learnerNotReady, "lag 5000")) }
            let early = try await door.failure(
                Self.cluster + "MemberPromote", Etcdserverpb_MemberPromoteRequest.with { $0.id = 6 })
            #expect(
                early
                    == GRPCStatus(
                        .failedPrecondition,
                        "etcdserver: can only promote a learner member which is in sync with leader"))
        }
    }

    @Test("Alarms are listed by kind, raised and cleared by member and kind")
    func alarms() async throws {
        try await LoopbackDoor.with { door async throws in
            func ask(
                _ action: Etcdserverpb_AlarmRequest.AlarmAction, _ kind: Etcdserverpb_AlarmType, _ member: UInt64 = 0
            ) async throws -> Etcdserverpb_AlarmResponse {
                try await door.call(
                    Self.alarm,
                    Etcdserverpb_AlarmRequest.with {
                        $0.action = action
                        $0.alarm = kind
                        $0.memberID = member
                    }, as: Etcdserverpb_AlarmResponse.self)
            }
            let full = AlarmChange(member: MemberID(0xA1), kind: .noSpace, isRaised: true)
            door.registry.script { _ in .success(.alarms([full])) }
            let listed = try await ask(.get, .corrupt, 9)
            guard case .alarms(.corrupt)? = door.registry.submitted.last?.request else {
                throw ClusterDoorFailure.otherRequest
            }
            #expect(listed.alarms.map(\.memberID) == [0xA1] && listed.alarms.map(\.alarm) == [.nospace])
            #expect(listed.hasHeader && listed.header.memberID == 0xA1)
            _ = try await ask(.activate, .corrupt, 9)
            #expect(lastWrite(door) == .alarm(AlarmChange(member: MemberID(9), kind: .corrupt, isRaised: true)))
            door.registry.script { _ in .success(.alarms([])) }
            let cleared = try await ask(.deactivate, .nospace, 3)
            #expect(lastWrite(door) == .alarm(AlarmChange(member: MemberID(3), kind: .noSpace, isRaised: false)))
            #expect(cleared.alarms.isEmpty && cleared.hasHeader)
            for request in [
                Etcdserverpb_AlarmRequest.with { $0.alarm = .UNRECOGNIZED(7) },
                Etcdserverpb_AlarmRequest.with { $0.action = .UNRECOGNIZED(3) },
            ] {
                #expect(try await door.failure(Self.alarm, request)?.code == .unknown)
            }
        }
    }

    private enum ClusterDoorFailure: Error { case otherRequest }

    @Test("The JSON gateway has member changes and alarms")
    func gateway() async throws {
        try await LoopbackDoor.with { door async throws in
            func post(_ path: String, _ body: String) async throws -> String {
                let answer = try await door.http.request("POST", "/v3" + path, body: body)
                return "\(answer.status) \(answer.body)"
            }
            let header = #""header":{"cluster_id":"193","member_id":"161","raft_term":"7"}"#
            let member = #"{"ID":"178","peerURLs":["http://10.0.0.1:2380","http://10.0.0.2:2380"],"isLearner":true}"#
            door.registry.script { _ in .success(.memberAdded(Self.added, [Self.added])) }
            let add = #"{"peerURLs":["http://10.0.0.1:2380"],"isLearner":true}"#
            #expect(
                try await post("/cluster/member/add", add)
                    == "200 {\(header),\"member\":\(member),\"members\":[\(member)]}")
            door.registry.script { _ in .success(.membersChanged([Self.added])) }
            #expect(
                try await post("/cluster/member/remove", #"{"ID":"18446744073709551615"}"#)
                    == "200 {\(header),\"members\":[\(member)]}")
            #expect(lastWrite(door) == .memberRemove(MemberID(.max)))
            #expect(
                try await post("/cluster/member/update", #"{"ID":"7","peerURLs":["http://a:1"]}"#)
                    == "200 {\(header),\"members\":[\(member)]}")
            #expect(
                try await post("/cluster/member/promote", #"{"ID":7}"#) == "200 {\(header),\"members\":[\(member)]}")
            #expect(lastWrite(door) == .memberPromote(MemberID(7)))
            let full = AlarmChange(member: MemberID(0xA1), kind: .noSpace, isRaised: true)
            door.registry.script { _ in .success(.alarms([full])) }
            let answer = try await post(
                "/maintenance/alarm", #"{"action":"ACTIVATE","memberID":161,"alarm":"NOSPACE"}"#)
            #expect(answer.hasPrefix("200 ") && answer.hasSuffix(#""alarms":[{"memberID":"161","alarm":"NOSPACE"}]}"#))
            #expect(lastWrite(door) == .alarm(full))
            #expect(try await post("/maintenance/alarm", #"{"alarm":"FLOOD"}"#).hasPrefix("400 "))
            #expect(try await post("/maintenance/alarm", #"{"action":"RAISE"}"#).hasPrefix("400 "))
        }
    }
}
