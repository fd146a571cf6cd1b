import Linearizability
import Primitives
import Testing

/// Drawn histories: small ones against a judge that tries every order, large ones that are good by construction, and
/// large ones with one thing made wrong.
@Suite("Linearizability of drawn histories")
struct LinearizabilityRandomTests {
    /// Tries every order, remembers nothing.
    private func hasOrder<Model: SequentialModel>(
        _ history: [HistoryOperation<Model.Input, Model.Output>], _ model: Model, state: Model.State = Model.initial
    ) -> Bool {
        if history.allSatisfy({ $0.returnedAt == nil }) { return true }
        for (place, operation) in history.enumerated() {
            let mustWait = history.contains { ($0.returnedAt ?? .max) < operation.invokedAt }
            if mustWait { continue }
            guard let next = model.step(state, operation.input, operation.output) else { continue }
            var rest = history
            rest.remove(at: place)
            if hasOrder(rest, model, state: next) { return true }
        }
        return false
    }

    @Test("On small registers the search agrees with trying every order", arguments: 0..<8)
    func registers(number: Int) {
        var draws = SeededGenerator(seed: 1, purpose: "register", number: UInt64(number))
        var good = 0
        for _ in 0..<3_000 {
            let history = (0..<draws.within(2...7)).map { _ in
                let from = draws.within(0...10)
                let to = draws.chance(1, in: 3) ? nil : from + draws.within(0...6)
                let value = draws.within(1...3)
                let other = draws.within(1...3)
                let (input, output): (RegisterModel.Input, RegisterModel.Output) =
                    switch draws.below(4) {
                    case 0: (.write(value), .done)
                    case 1: (.compareAndSet(from: value, to: other), draws.chance(1, in: 2) ? .done : .different)
                    default: (.read, .value(draws.chance(1, in: 4) ? nil : value))
                    }
                let isTold = to != nil && draws.chance(9, in: 10)
                return RegisterOperation(
                    client: 0, invokedAt: from, returnedAt: to, input: input, output: isTold ? output : nil)
            }
            let expected = hasOrder(history, RegisterModel())
            let verdict = LinearizabilityChecker.check(history, RegisterModel(), budget: 100_000)
            #expect(verdict.isLinearizable == expected, "\(history)")
            if expected { good += 1 }
        }
        #expect((500...2_500).contains(good), "\(good) of 3000 are good: the draws prove little")
    }

    @Test("On small texts, where every write is seen, the search agrees with trying every order")
    func texts() {
        typealias Model = AppendableTextModel
        var draws = SeededGenerator(seed: 2, purpose: "texts")
        var good = 0
        for _ in 0..<6_000 {
            let history = (0..<draws.within(2...6)).map { _ in
                let from = draws.within(0...10)
                let to = draws.chance(1, in: 3) ? nil : from + draws.within(0...6)
                let texts = ["", "a", "b", "ab", "ba", "aa"]
                let (action, output): (Model.Input.Action, Model.Output) =
                    switch draws.below(5) {
                    case 0: (.put(texts[Int(draws.within(1...2))]), .done)
                    case 1, 2: (.append(texts[Int(draws.within(0...2))]), .done)
                    default: (.get, .text(texts[Int(draws.within(0...5))]))
                    }
                return HistoryOperation(
                    client: 0, invokedAt: from, returnedAt: to, input: Model.Input(key: "k", action: action),
                    output: to == nil ? nil : output)
            }
            let expected = hasOrder(history, Model())
            let verdict = LinearizabilityChecker.check(history, Model(), budget: 100_000)
            #expect(verdict.isLinearizable == expected, "\(history)")
            if expected { good += 1 }
        }
        #expect((600...5_400).contains(good), "\(good) of 6000 are good: the draws prove little")
    }

    // MARK: Large ones

    /// One key as `clients` clients use it. Each operation takes effect at some instant between invocation and return.
    private struct DrawnKey {
        private(set) var history: [KeyOperation] = []
        /// When each of them took effect; nil: never.
        private var effects: [Int64?] = []

        init(seed: UInt64, operations: Int, clients: Int, lost: Int) {
            var draws = SeededGenerator(seed: seed, purpose: "key")
            var free = Array(repeating: Int64(0), count: clients)
            for number in 0..<operations {
                let client = Int(draws.below(UInt64(clients)))
                let from = free[client] + draws.within(1...20)
                let effect = from + draws.within(0...30)
                let to = effect + draws.within(0...30)
                free[client] = to
                let token = Array("t\(number)".utf8)
                let input: RegistryKeyModel.Input =
                    switch draws.below(10) {
                    case 0..<3: .put(token)
                    case 3: .delete
                    // Filled in when the order is known.
                    case 4..<6: .compareAndPut(expected: nil, value: token)
                    default: .get
                    }
                let isLost = number % max(1, operations / max(1, lost)) == 3 && lost > 0
                history.append(
                    KeyOperation(
                        client: client, invokedAt: from, returnedAt: isLost ? nil : to, input: input, output: nil))
                effects.append(isLost && draws.chance(1, in: 2) ? nil : effect)
            }
            answer(&draws)
        }

        private mutating func answer(_ draws: inout SeededGenerator) {
            var state: [UInt8]?
            let order = history.indices.filter { effects[$0] != nil }.sorted {
                (effects[$0] ?? 0, $0) < (effects[$1] ?? 0, $1)
            }
            for place in order {
                var output = RegistryKeyModel.Output.value(state)
                switch history[place].input {
                case .put(let value):
                    state = value
                    output = .done
                case .delete:
                    output = .deleted(state != nil)
                    state = nil
                case .compareAndPut(_, let value):
                    let matches = draws.chance(1, in: 2)
                    let expected: [UInt8]? = matches ? state : Array("nobody wrote this".utf8)
                    history[place].input = .compareAndPut(expected: expected, value: value)
                    output = matches ? .done : draws.chance(1, in: 2) ? .failed : .value(state)
                    if matches { state = value }
                case .get: break
                }
                if history[place].returnedAt != nil { history[place].output = output }
            }
        }
    }

    private func verdict(_ history: [KeyOperation]) -> Bool? {
        LinearizabilityChecker.check(history, RegistryKeyModel(), budget: 1_000_000).isLinearizable
    }

    @Test("Good histories of a thousand operations are accepted", arguments: [(4, 0), (8, 0), (8, 15), (10, 20)])
    func large(clients: Int, lost: Int) {
        for seed in 0..<5 as Range<UInt64> {
            let drawn = DrawnKey(seed: seed, operations: 1_000, clients: clients, lost: lost)
            #expect(drawn.history.count { $0.returnedAt == nil } >= lost)
            #expect(verdict(drawn.history) == true)
        }
    }

    /// A read and the write that it saw.
    private func readsOfPuts(_ history: [KeyOperation]) -> [(read: Int, put: Int)] {
        var found: [(Int, Int)] = []
        for (read, operation) in history.enumerated() {
            guard operation.input == .get, case .value(let value?) = operation.output else { continue }
            guard let put = history.firstIndex(where: { $0.input == .put(value) && $0.returnedAt != nil }) else {
                continue
            }
            found.append((read, put))
        }
        return found
    }

    @Test("Two outputs swapped, so that a read tells the future, are rejected", arguments: [0, 15])
    func swappedOutputs(lost: Int) {
        var tried = 0
        for seed in 0..<6 as Range<UInt64> {
            let good = DrawnKey(seed: seed, operations: 400, clients: 6, lost: lost).history
            let pairs = readsOfPuts(good)
            for (early, later) in zip(pairs, pairs.dropFirst(7)).prefix(12) {
                let (first, second) = (good[early.read], good[later.read])
                guard first.returnedAt! < good[later.put].invokedAt else { continue }
                var bad = good
                bad[early.read].output = second.output
                bad[later.read].output = first.output
                #expect(verdict(bad) == false)
                tried += 1
            }
        }
        #expect(tried > 20)
    }

    @Test("A write shifted behind a read of it is rejected, and so is a read shifted behind the next write")
    func shiftedTimes() {
        var tried = 0
        for seed in 0..<6 as Range<UInt64> {
            let good = DrawnKey(seed: seed, operations: 400, clients: 6, lost: 4).history
            for (read, put) in readsOfPuts(good).prefix(12) {
                var late = good
                late[put].invokedAt = good[read].returnedAt! + 1
                late[put].returnedAt = good[read].returnedAt! + 2
                #expect(verdict(late) == false)
                let next = good.firstIndex {
                    guard case .put = $0.input, $0.returnedAt != nil else { return false }
                    return $0.invokedAt > good[put].returnedAt!
                }
                guard let next else { continue }
                var stale = good
                stale[read].invokedAt = good[next].returnedAt! + 1
                stale[read].returnedAt = good[next].returnedAt! + 2
                #expect(verdict(stale) == false)
                tried += 1
            }
        }
        #expect(tried > 40)
    }
}
