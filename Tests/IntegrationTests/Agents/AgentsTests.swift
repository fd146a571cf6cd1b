import Foundation
import Testing

extension RealProcesses {
    /// The whole stack: what a registry does to itself is nothing that traffic should feel.
    @Suite struct AgentsTests {
        private func withStack(_ body: (SmartStack, Caller) throws -> Void) throws {
            let stack = try SmartStack()
            let caller = Caller(stack.frontend)
            defer { caller.stop() }
            do {
                try body(stack, caller)
                for name in ["nerve-1", "nerve-2", "synapse", "haproxy"] {
                    #expect(try stack.process(name).isRunning, "\(name) has ended")
                }
            } catch {
                Issue.record("\(error)\(stack.logs)")
            }
        }

        private func registrations(_ stack: SmartStack) throws -> [GatewayAnswer.Pair] {
            try stack.cluster.leader().gateway().range(prefix: "/services/").kvs ?? []
        }

        private func expectBoth(_ caller: Caller, _ when: String) throws {
            _ = caller.takeAnswers()
            try eventually("both instances answer \(when)") {
                var answers = caller.takeAnswers()
                // A look of its own: enough requests for round robin to reach both.
                pause(0.2)
                answers = caller.takeAnswers()
                return answers["web-1"] != nil && answers["web-2"] != nil
            }
        }

        @Test("An instance that dies leaves HAProxy without a reload and returns without one")
        func instance() throws {
            try withStack { stack, caller in
                try expectBoth(caller, "at first")
                let reloads = stack.reloads
                let killed = now()
                try stack.process("web-1").kill()
                try eventually("HAProxy has stopped sending") { stack.haproxy.serving.count == 1 }
                print("    instance killed, HAProxy stopped sending after ms: \(milliseconds(now() - killed))")
                try stack.startInstance(1)
                try eventually("HAProxy sends again") { stack.haproxy.serving.count == 2 }
                try expectBoth(caller, "at the end")
                #expect(stack.reloads == reloads, "\(stack.logs)")
            }
        }

        @Test("A killed leader costs no registration and no request")
        func leader() throws {
            try withStack { stack, caller in
                try expectBoth(caller, "at first")
                let before = try registrations(stack)
                #expect(before.count == 2)
                let killed = now()
                let leader = try stack.cluster.leader()
                leader.kill9()
                // Longer than a lease.
                while now() < killed + Double(SmartStack.leaseSeconds) + 2 { pause(0.1) }
                #expect(try registrations(stack) == before, "\(stack.logs)")
                #expect(stack.haproxy.changes.filter { $0.when > killed } == [], "\(stack.logs)")
                #expect(caller.failures == [], "\(stack.logs)")
                try expectBoth(caller, "at the end")
                try leader.start()
                try leader.waitUntilHealthy()
            }
        }

        @Test("A registry that is dark for longer than a lease and returns changes nothing")
        func dark() throws {
            try withStack { stack, caller in
                try expectBoth(caller, "at first")
                let before = try registrations(stack)
                let reloads = stack.reloads
                let killed = now()
                for member in stack.cluster.members { member.kill9() }
                while now() < killed + Double(SmartStack.leaseSeconds) + 2 { pause(0.1) }
                try expectBoth(caller, "in the dark")
                for member in stack.cluster.members { try member.start() }
                for member in stack.cluster.members { try member.waitUntilHealthy() }
                let back = now()
                // Longer than the leases' new term, which they outlive only if they are renewed.
                while now() < back + Double(SmartStack.leaseSeconds) + 2 { pause(0.1) }
                #expect(try registrations(stack) == before, "\(stack.logs)")
                #expect(stack.haproxy.changes.filter { $0.when > killed } == [], "\(stack.logs)")
                #expect(stack.reloads == reloads, "\(stack.logs)")
                #expect(caller.failures == [], "\(stack.logs)")
                try expectBoth(caller, "at the end")
            }
        }
    }
}
