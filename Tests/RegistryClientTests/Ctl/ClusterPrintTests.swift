import EtcdProto
import NIOCore
import RegistryClient
import SwiftProtobuf
import Testing

@testable import CtlCommands

/// What `member`, `alarm` and `endpoint status` write.
@Suite struct ClusterPrintTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private let header = ResponseHeader(clusterID: 0xC1, memberID: 0xA1, revision: 0, raftTerm: 7)
    private let first = Member(
        id: 0xA1, name: "one", peerURLs: ["http://10.0.0.1:1", "http://10.0.0.1:2"], clientURLs: ["http://c"],
        isLearner: false)
    private let added = Member(
        id: .max, name: "", peerURLs: ["http://10.0.0.2:1"], clientURLs: [], isLearner: true)

    @Test("Adding prints the environment of the new process, with the names that scripts know")
    func memberAdd() {
        let result = MemberAddResult(header: header, member: added, members: [first, added])
        let expected = #"""
            Member ffffffffffffffff added as learner to cluster               c1

            ETCD_NAME="two \"2\""
            ETCD_INITIAL_CLUSTER="one=http://10.0.0.1:1,one=http://10.0.0.1:2,two \"2\"=http://10.0.0.2:1"
            ETCD_INITIAL_ADVERTISE_PEER_URLS="http://10.0.0.2:1"
            ETCD_INITIAL_CLUSTER_STATE="existing"

            """#
        let printed = MemberPrinter(isJSON: false).added(result, name: "two \"2\"", peerURLs: added.peerURLs)
        #expect(text(printed) == expected)
        var voter = result
        voter.member.isLearner = false
        #expect(
            text(MemberPrinter(isJSON: false).added(voter, name: "", peerURLs: []))
                .hasPrefix("Member ffffffffffffffff added to cluster               c1\n"))
        #expect(
            text(MemberPrinter(isJSON: true).added(result, name: "two", peerURLs: []))
                == #"{"header":{"cluster_id":193,"member_id":161,"raft_term":7},"#
                + #""member":{"ID":18446744073709551615,"peerURLs":["http://10.0.0.2:1"],"isLearner":true},"#
                + #""members":[{"ID":161,"name":"one","peerURLs":["http://10.0.0.1:1","http://10.0.0.1:2"],"#
                + #""clientURLs":["http://c"]},{"ID":18446744073709551615,"#
                + #""peerURLs":["http://10.0.0.2:1"],"isLearner":true}]}"# + "\n")
    }

    @Test("Alarms are printed as Go prints them; an alarm of nobody or of nothing has that part left out")
    func alarms() {
        let result = AlarmResult(
            header: header,
            alarms: [
                Alarm(memberID: 5, kind: .noSpace), Alarm(memberID: 0, kind: .corrupt), Alarm(memberID: 6, kind: .none),
            ])
        #expect(
            text(SimplePrinter(options: PrintOptions()).alarms(result))
                == "memberID:5 alarm:NOSPACE \nalarm:CORRUPT \nmemberID:6 \n")
        #expect(
            text(JSONPrinter().alarms(result))
                == #"{"header":{"cluster_id":193,"member_id":161,"raft_term":7},"#
                + #""alarms":[{"memberID":5,"alarm":1},{"alarm":2},{"memberID":6}]}"# + "\n")
        #expect(
            text(FieldsPrinter().alarms(AlarmResult(header: nil, alarms: [result.alarms[0]])))
                == "\"MemberID\" : 5\n\"AlarmType\" : NOSPACE\n\n")
    }

    private func status(_ errors: [String]) throws -> StatusResult {
        let message = Etcdserverpb_StatusResponse.with {
            $0.version = "3.6.9"
            $0.dbSize = 1000
            $0.errors = errors
        }
        return try StatusRequest.decoded(message.serializedBytes(), sentAt: .now())
    }

    @Test("Columns of our own stand behind etcdctl's, and only when a member has something to say in them")
    func endpointStatus() throws {
        let well = EndpointStatus(endpoint: "a:1", status: try status(["memberID:5 alarm:NOSPACE "]))
        let ill = EndpointStatus(
            endpoint: "b:1",
            status: try status([StatusNote.diverged(atIndex: 42), .recovering, .diskIsLow].map(\.text)))
        #expect(!well.hasOwnTrouble && ill.hasOwnTrouble)
        #expect(ill.status.divergedAt == 42 && ill.status.isRecovering && ill.status.diskIsLow)
        let plain = text(TablePrinter.status([well]))
        #expect(plain.split(separator: "\n")[1].hasSuffix("ERRORS           |"))
        let lines = text(TablePrinter.status([well, ill])).split(separator: "\n")
        #expect(lines[1].hasSuffix("| DIVERGED AT | RECOVERING | DISK LOW |"))
        #expect(lines[3].hasSuffix("|             |      false |    false |"))
        #expect(lines[4].hasSuffix("|          42 |       true |     true |"))
        #expect(!text(FieldsPrinter().status([well])).contains("DivergedAt"))
        #expect(
            text(FieldsPrinter().status([ill])).hasSuffix(
                "\"Endpoint\" : \"b:1\"\n\"DivergedAt\" : 42\n\"Recovering\" : true\n\"DiskLow\" : true\n\n"))
    }
}
