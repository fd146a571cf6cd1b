/// Looks for an order of operations that their times allow and their outputs confirm: depth first, without recursion,
/// remembering every situation it has been in.
///
/// Three rules keep it small without losing an answer:
/// - A read that fits is taken at once: whatever order there is, it could as well have come now.
/// - An operation with an unknown outcome is tried only where nothing else is left to try.
/// - It is useful only if the very next operation needs it there. Otherwise it could be left out, or come later.
struct LinearizabilitySearch {
    typealias Step = (_ state: Int, _ operation: Int) -> Int?

    enum Outcome {
        case found
        /// The budget is used up.
        case spent
        case exhausted(Attempt)
    }

    /// The longest order that was found.
    struct Attempt {
        var order: [Int] = []
        /// How many of them have a known outcome.
        var explained = -1
        var state = 0
        var stuck: [Int] = []
    }

    /// An operation with an unknown outcome that was the last to be taken: what follows has to need it.
    private struct Unobserved: Hashable {
        var operation: Int
        /// The state without it.
        var before: Int
    }

    private struct Frame {
        var operation: Int
        var state: Int
        var unobserved: Unobserved?
        /// No other choice has to be tried in its place.
        var isForced: Bool
    }

    /// Everything that decides what is possible from here on.
    private struct Situation: Hashable {
        var done: OperationSet.Essence
        var state: Int
        var unobserved: Unobserved?
    }

    private struct Choice {
        var operation: Int
        var next: Int
        var isForced = false
    }

    private enum Cursor {
        case start
        case after(Frame)
    }

    private let timeline: Timeline
    private let reads: [Bool]
    private let step: Step
    private let budget: Int
    private var tries = 0
    /// Events of the operations that are not in the order yet.
    private var events: LinkedNumbers
    /// Places in `timeline.optional` that are not in the order.
    private var optional: LinkedNumbers
    private var done: OperationSet
    private var state = 0
    private var unobserved: Unobserved?
    private var explained = 0
    private var stack: [Frame] = []
    private var seen: Set<Situation> = []
    private var best = Attempt()

    /// - Parameter reads: by operation: it never changes a state.
    init(_ timeline: Timeline, reads: [Bool], budget: Int, step: @escaping Step) {
        self.timeline = timeline
        self.reads = reads
        self.step = step
        self.budget = budget
        events = LinkedNumbers(count: timeline.events.count)
        optional = LinkedNumbers(count: timeline.optional.count)
        done = OperationSet(count: timeline.spans.count)
    }

    mutating func run() -> Outcome {
        var cursor = Cursor.start
        while !events.isEmpty {
            if tries > budget { return .spent }
            if let choice = choose(cursor) {
                take(choice)
                cursor = .start
            } else {
                if explained > best.explained { best = attempt }
                guard let frame = stack.popLast() else { return .exhausted(best) }
                putBack(frame)
                cursor = .after(frame)
            }
        }
        return .found
    }

    // MARK: Choosing

    /// What to take next; nil at a dead end.
    private mutating func choose(_ cursor: Cursor) -> Choice? {
        switch cursor {
        case .start:
            for operation in candidates where reads[operation] {
                guard let next = fit(operation) else { continue }
                let choice = Choice(operation: operation, next: next, isForced: true)
                return isNew(choice) ? choice : nil
            }
            return chooseKnown(from: events.first)
        case .after(let frame) where frame.isForced:
            return nil
        case .after(let frame) where timeline.isOptional(frame.operation):
            return chooseOptional(from: optional.after(timeline.optionalPlaces[frame.operation]))
        case .after(let frame):
            return chooseKnown(from: events.after(timeline.invocations[frame.operation]))
        }
    }

    /// Operations with a known outcome that may come next: those invoked before the first return.
    private var candidates: [Int] {
        var found: [Int] = []
        var place = events.first
        while place != events.end, !timeline.events[place].isReturn {
            found.append(timeline.events[place].operation)
            place = events.after(place)
        }
        return found
    }

    private mutating func chooseKnown(from first: Int) -> Choice? {
        var place = first
        while place != events.end, !timeline.events[place].isReturn {
            let operation = timeline.events[place].operation
            if let next = fit(operation) {
                let choice = Choice(operation: operation, next: next)
                if isNew(choice) { return choice }
            }
            place = events.after(place)
        }
        return chooseOptional(from: optional.first)
    }

    private mutating func chooseOptional(from first: Int) -> Choice? {
        guard let firstReturn else { return nil }
        var place = first
        while place != optional.end, timeline.spans[timeline.optional[place]].from <= firstReturn {
            let operation = timeline.optional[place]
            if let next = fit(operation) {
                let choice = Choice(operation: operation, next: next)
                if isNew(choice) { return choice }
            }
            place = optional.after(place)
        }
        return nil
    }

    private var firstReturn: Int64? {
        var place = events.first
        while place != events.end {
            if timeline.events[place].isReturn { return timeline.events[place].time }
            place = events.after(place)
        }
        return nil
    }

    /// The state behind `operation`, nil when it cannot come next or need not.
    private mutating func fit(_ operation: Int) -> Int? {
        tries += 1
        guard let next = step(state, operation) else { return nil }
        let isOptional = timeline.isOptional(operation)
        if isOptional, next == state { return nil }
        guard let unobserved, let without = step(unobserved.before, operation) else { return next }
        if without == next { return nil }
        // Of two orders that come to the same, the one with the unknown outcome later; of two unknown outcomes, the
        // one in order of their numbers.
        let mayTrade = !isOptional || operation < unobserved.operation
        return mayTrade && step(without, unobserved.operation) == next ? nil : next
    }

    private mutating func isNew(_ choice: Choice) -> Bool {
        let bit = timeline.bits[choice.operation]
        done.insert(bit)
        defer { done.remove(bit) }
        let situation = Situation(done: done.essence, state: choice.next, unobserved: unobserved(after: choice))
        return seen.insert(situation).inserted
    }

    private func unobserved(after choice: Choice) -> Unobserved? {
        timeline.isOptional(choice.operation) ? Unobserved(operation: choice.operation, before: state) : nil
    }

    // MARK: Moving

    private mutating func take(_ choice: Choice) {
        let operation = choice.operation
        stack.append(Frame(operation: operation, state: state, unobserved: unobserved, isForced: choice.isForced))
        unobserved = unobserved(after: choice)
        state = choice.next
        done.insert(timeline.bits[operation])
        if timeline.isOptional(operation) {
            optional.remove(timeline.optionalPlaces[operation])
        } else {
            events.remove(timeline.invocations[operation])
            events.remove(timeline.returns[operation])
            explained += 1
        }
    }

    private mutating func putBack(_ frame: Frame) {
        let operation = frame.operation
        state = frame.state
        unobserved = frame.unobserved
        done.remove(timeline.bits[operation])
        if timeline.isOptional(operation) {
            optional.restore(timeline.optionalPlaces[operation])
        } else {
            events.restore(timeline.returns[operation])
            events.restore(timeline.invocations[operation])
            explained -= 1
        }
    }

    private var attempt: Attempt {
        let stuck = candidates.sorted { timeline.returns[$0] < timeline.returns[$1] }
        return Attempt(order: stack.map(\.operation), explained: explained, state: state, stuck: stuck)
    }
}
