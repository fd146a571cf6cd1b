import Primitives
import Testing

@testable import AgentCore

@Suite struct RuntimeReplyTests {
    @Test("Replies of HAProxy 2.6 are judged")
    func replies() {
        let add = RuntimeCommand.add(backend: "b", server: "s", address: "127.0.0.1:1", arguments: ["id", "3"])
        #expect(add.text == "add server b/s 127.0.0.1:1 id 3")
        #expect(add.judge("New server registered.\n\n") == .done)
        #expect(isFailed(add.judge("Already exists a server with the same name in backend.\n\n")))
        #expect(isFailed(add.judge("'id' : custom id 7 already used at (null):0 ('server n1').\n\n")))
        #expect(isImpossible(add.judge("Backend must use a dynamic load balancing to support dynamic servers.\n")))
        #expect(isImpossible(add.judge("'cookie' option is not accepted for dynamic server\n\n")))
        #expect(isImpossible(add.judge("Unknown command, but maybe one of the following ones is a better match:\n")))
        let delete = RuntimeCommand.delete(backend: "b", server: "s")
        #expect(delete.judge("Server deleted.\n") == .done && delete.judge("No such server.\n") == .done)
        #expect(delete.judge("Server still has connections attached to it, cannot remove it.\n") == .busy)
        #expect(isFailed(delete.judge("Only servers in maintenance mode can be deleted.\n")))
        let state = RuntimeCommand.setState(backend: "b", server: "s", .drain)
        #expect(state.text == "set server b/s state drain" && state.judge("\n") == .done)
        #expect(isFailed(state.judge("No such server.\n\n")) && isFailed(state.judge("Permission denied\n")))
        let address = RuntimeCommand.setAddress(backend: "b", server: "s", address: "10.0.0.1", port: "80")
        #expect(
            address.judge("no need to change the addr, port changed from '9' to '10' by 'stats socket command'\n\n")
                == .done)
        #expect(isFailed(address.judge("Invalid addr 'x' by 'stats socket command'\n\n")))
    }

    private func isFailed(_ verdict: RuntimeCommand.Verdict) -> Bool {
        if case .failed = verdict { return true }
        return false
    }

    private func isImpossible(_ verdict: RuntimeCommand.Verdict) -> Bool {
        if case .impossible = verdict { return true }
        return false
    }

    @Test("A state that makes no sense is refused, at any cut")
    func garbage() throws {
        let reply =
            "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state\n3 b 7 n1 127.0.0.2 2 8 5 5 0 1 0 2 6 0 0 1 - 80 - 0 0 - - 0\n\n"
        var state = RuntimeState()
        try state.read(stateReply: reply, backend: "b")
        #expect(state.servers.map(\.name) == ["n1"] && state.servers[0].isDraining && state.servers[0].port == "80")
        for bad in [
            "", "1\n", "2\n# be_id be_name srv_id srv_name srv_addr\n", String(reply.dropLast(40)),
            "Permission denied\n",
        ] {
            #expect(throws: RuntimeFailure.self, "\(bad)") {
                var state = RuntimeState()
                try state.read(stateReply: bad, backend: "b")
            }
        }
        #expect(throws: RuntimeFailure.self) {
            var state = RuntimeState()
            try state.read(environmentReply: "Permission denied\n")
        }
    }

    @Test("Addresses compare as addresses")
    func addresses() {
        #expect(AddressText.isSame("::1", "0:0:0:0:0:0:0:1"))
        #expect(AddressText.isSame("2001:DB8::0:1", "2001:db8::1"))
        #expect(AddressText.isSame("::ffff:10.0.0.1", "::ffff:a00:1"))
        #expect(!AddressText.isSame("::1", "::2") && !AddressText.isSame("10.0.0.1", "10.0.0.10"))
        for junk in [":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "::1.2.3", "g::"] {
            #expect(AddressText.words(junk) == nil, "\(junk)")
        }
    }
}
