import Linearizability
import Testing

typealias RegisterOperation = HistoryOperation<RegisterModel.Input, RegisterModel.Output>
typealias KeyOperation = HistoryOperation<RegistryKeyModel.Input, RegistryKeyModel.Output>

/// Histories small enough to be judged by eye.
@Suite("Linearizability of small histories")
struct LinearizabilityTests {
    private func verdict(_ history: [RegisterOperation]) -> Bool? {
        LinearizabilityChecker.check(history, RegisterModel(), budget: 10_000).isLinearizable
    }

    private func write(_ value: Int64, _ from: Int64, _ to: Int64?) -> RegisterOperation {
        RegisterOperation(
            client: 1, invokedAt: from, returnedAt: to, input: .write(value), output: to.map { _ in .done })
    }

    private func read(_ value: Int64?, _ from: Int64, _ to: Int64) -> RegisterOperation {
        RegisterOperation(client: 2, invokedAt: from, returnedAt: to, input: .read, output: .value(value))
    }

    private func swap(_ old: Int64, _ new: Int64, _ from: Int64, _ to: Int64?, _ success: Bool?) -> RegisterOperation {
        RegisterOperation(
            client: 3, invokedAt: from, returnedAt: to, input: .compareAndSet(from: old, to: new),
            output: success.map { $0 ? .done : .different })
    }

    @Test("An empty history and one of unknown outcomes only are linearizable")
    func nothing() {
        #expect(verdict([]) == true)
        #expect(verdict([write(1, 0, nil), swap(1, 2, 3, nil, nil)]) == true)
    }

    @Test("A read sees the last write that ended before it")
    func sequential() {
        #expect(verdict([write(1, 0, 1), read(1, 2, 3)]) == true)
        #expect(verdict([write(1, 0, 1), read(nil, 2, 3)]) == false)
        #expect(verdict([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)]) == false)
        #expect(verdict([read(1, 0, 1), write(1, 2, 3)]) == false)
    }

    @Test("A read beside a write sees the old or the new value, and never goes back")
    func concurrent() {
        #expect(verdict([write(1, 0, 10), read(nil, 1, 2), read(1, 3, 4)]) == true)
        #expect(verdict([write(1, 0, 10), read(1, 1, 2), read(nil, 3, 4)]) == false)
        #expect(verdict([write(1, 0, 10), write(2, 0, 10), read(2, 3, 4), read(1, 5, 6)]) == true)
        #expect(verdict([write(1, 0, 10), write(2, 0, 10), read(2, 3, 4), read(1, 5, 6), read(2, 7, 8)]) == false)
    }

    @Test("A write of what is there already may still have to come later")
    func sameValue() {
        let before = [write(3, 0, 1), write(3, 2, 9), write(4, 3, 8)]
        #expect(verdict(before + [read(3, 10, 11)]) == true)
        #expect(verdict(before + [read(4, 10, 11)]) == true)
    }

    @Test("Operations that touch in one instant are simultaneous")
    func oneInstant() {
        #expect(verdict([write(1, 0, 5), read(nil, 5, 6)]) == true)
        #expect(verdict([write(1, 0, 5), read(nil, 6, 7)]) == false)
    }

    @Test("An unknown outcome takes effect any time later, once, or never")
    func unknownOutcomes() {
        #expect(verdict([write(1, 0, nil), read(nil, 5, 6), read(1, 7, 8)]) == true)
        #expect(verdict([write(1, 0, nil), write(2, 1, 2), read(1, 7, 8), read(1, 9, 10)]) == true)
        #expect(verdict([write(1, 0, nil), write(2, 1, 2), read(2, 7, 8), read(1, 9, 10)]) == true)
        #expect(verdict([write(1, 0, nil), read(1, 5, 6), read(nil, 7, 8)]) == false)
        #expect(verdict([write(1, 0, nil), read(1, 5, 6), write(2, 7, 8), read(1, 9, 10)]) == false)
        #expect(verdict([read(1, 5, 6), write(1, 7, nil)]) == false)
    }

    @Test("Unknown outcomes may have to take effect one after the other")
    func chainOfUnknownOutcomes() {
        let lost = [write(1, 0, nil), swap(1, 2, 1, nil, nil), swap(2, 3, 2, nil, nil)]
        #expect(verdict(lost + [read(3, 8, 9)]) == true)
        #expect(verdict([write(1, 0, nil), swap(2, 3, 2, nil, nil), read(3, 8, 9)]) == false)
        #expect(verdict(lost + [read(3, 8, 9), read(1, 10, 11)]) == false)
    }

    @Test("A compare-and-set says what was there when it was decided")
    func compareAndSet() {
        #expect(verdict([write(1, 0, 1), swap(1, 2, 2, 3, true), read(2, 4, 5)]) == true)
        #expect(verdict([write(1, 0, 1), swap(1, 2, 2, 3, false)]) == false)
        #expect(verdict([write(1, 0, 1), swap(2, 3, 2, 3, true)]) == false)
        #expect(verdict([write(1, 0, 1), write(2, 2, nil), swap(1, 3, 3, 4, false), read(2, 5, 6)]) == true)
        #expect(verdict([write(1, 0, 1), write(2, 2, nil), swap(1, 3, 3, 4, false), read(1, 5, 6)]) == false)
    }

    @Test("A registry's key is put, compared, deleted and read; what was written once never comes back by itself")
    func registryKey() {
        func operation(
            _ from: Int64, _ to: Int64?, _ input: RegistryKeyModel.Input, _ output: RegistryKeyModel.Output?
        ) -> KeyOperation {
            KeyOperation(client: 1, invokedAt: from, returnedAt: to, input: input, output: output)
        }
        func verdict(_ history: [KeyOperation]) -> Bool? {
            LinearizabilityChecker.check(history, RegistryKeyModel(), budget: 10_000).isLinearizable
        }
        let a: [UInt8] = [1]
        let b: [UInt8] = [2]
        let good = [
            operation(0, 1, .get, .value(nil)),
            operation(2, 3, .delete, .deleted(false)),
            operation(4, 5, .compareAndPut(expected: nil, value: a), .done),
            operation(6, 7, .compareAndPut(expected: nil, value: b), .value(a)),
            operation(8, 9, .compareAndPut(expected: b, value: a), .failed),
            operation(10, 11, .compareAndPut(expected: a, value: b), .done),
            operation(12, 13, .get, .value(b)),
            operation(14, 15, .delete, .deleted(true)),
            operation(16, 17, .get, .value(nil)),
            operation(18, 19, .put(a), .replaced(nil)),
            operation(20, 21, .put(b), .replaced(a)),
            operation(22, 23, .delete, .replaced(b)),
            operation(24, 25, .delete, .replaced(nil)),
        ]
        #expect(verdict(good) == true)
        let bad: [(Int, RegistryKeyModel.Output)] = [
            (0, .value(a)), (1, .deleted(true)), (2, .failed), (2, .value(nil)), (3, .done), (3, .value(b)),
            (4, .done), (5, .failed), (6, .value(a)), (6, .value(nil)), (7, .deleted(false)), (8, .value(b)),
            // An output of another operation.
            (0, .done), (1, .value(nil)), (7, .done),
            (9, .replaced(a)), (10, .replaced(nil)), (10, .replaced(b)), (11, .replaced(nil)), (12, .replaced(b)),
        ]
        for (place, output) in bad {
            var changed = good
            changed[place].output = output
            #expect(verdict(changed) == false, "operation \(place) with \(output)")
        }
        // A lease that may end at any time is a deletion of unknown outcome.
        let ending = operation(4, nil, .delete, nil)
        let read = operation(12, 13, .get, .value(nil))
        #expect(verdict(Array(good[..<6]) + [ending, read]) == true)
        #expect(verdict(Array(good[..<6]) + [ending, read, operation(14, 15, .get, .value(b))]) == false)
    }

    @Test("A spent budget is no verdict")
    func budget() {
        let writes = (0..<12).map { write(Int64($0), 0, 100) }
        let history = writes + [read(50, 101, 102)]
        #expect(LinearizabilityChecker.check(history, RegisterModel(), budget: 50).isLinearizable == nil)
        #expect(LinearizabilityChecker.check(history, RegisterModel(), budget: 10_000_000).isLinearizable == false)
    }

    @Test("Parts are judged by themselves; a bad part outweighs one that is unknown")
    func parts() {
        typealias Model = AppendableTextModel
        typealias Step = HistoryOperation<Model.Input, Model.Output>
        func step(_ key: String, _ at: Int64, _ action: Model.Input.Action, _ output: Model.Output) -> Step {
            Step(client: 0, invokedAt: at, returnedAt: at + 1, input: .init(key: key, action: action), output: output)
        }
        func verdict(_ history: [Step], budget: Int = 1_000) -> Bool? {
            LinearizabilityChecker.check(history, Model(), budget: budget, part: \.key).isLinearizable
        }
        let good = [
            step("a", 0, .put("x"), .done), step("b", 2, .append("y"), .done), step("a", 4, .append("z"), .done),
            step("a", 6, .get, .text("xz")), step("b", 8, .get, .text("y")),
        ]
        #expect(verdict(good) == true)
        #expect(verdict(good + [step("b", 10, .get, .text("xz"))]) == false)
        let hard = (0..<9).map { number in
            Step(
                client: 0, invokedAt: 0, returnedAt: 99, input: .init(key: "c", action: .append("\(number)")),
                output: .done)
        }
        let unknown = hard + [step("c", 100, .get, .text("none of them"))]
        #expect(verdict(unknown + good) == nil)
        #expect(verdict(unknown + good + [step("b", 10, .get, .text(""))]) == false)
    }

    @Test("The explanation shows the longest order, the state behind it and what cannot follow")
    func explanation() throws {
        let history = [write(1, 0, 1), write(2, 2, 3), read(2, 4, 5), read(1, 6, 9), read(2, 7, 10)]
        guard case .notLinearizable(let why) = LinearizabilityChecker.check(history, RegisterModel(), budget: 1_000)
        else {
            Issue.record("a stale read was accepted")
            return
        }
        #expect(why.explained == 4)
        #expect(why.total == 5)
        #expect(why.state == "2")
        #expect(why.order.first == "client 1 [0, 1] write 1: done")
        #expect(why.stuck == ["client 2 [6, 9] read: 1"])
        #expect(
            why.description == """
                4 of 5 operations have an order
                  client 1 [0, 1] write 1: done
                  client 1 [2, 3] write 2: done
                  client 2 [4, 5] read: 2
                  client 2 [7, 10] read: 2
                the state is then 2, and none of these can follow:
                  client 2 [6, 9] read: 1
                """)
    }
}
