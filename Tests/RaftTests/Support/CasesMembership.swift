import Primitives
import Raft

/// Runs the blocks of a membership file on the real functions. What a leader keeps beside the configuration (progress
/// records, the wish to leave a joint state by itself) is kept here.
struct MembershipCases {
    struct Record: Equatable {
        var next: UInt64
        var isLearner: Bool
    }

    private(set) var configuration = Configuration(voters: [])
    private var records: [MemberID: Record] = [:]
    private var leavesByItself = false
    /// Stands for the leader's last index.
    private var last: UInt64 = 0

    mutating func run(_ block: CasesFile.Block) throws(CaseFailure) -> String {
        defer { last += 1 }
        let operations = try MembershipCases.operations(block.input)
        let outcome: MembershipOutcome
        do throws(MembershipError) {
            switch block.command {
            case "simple": outcome = try configuration.applying(operations)
            case "enter-joint": outcome = try configuration.enteringJoint(operations)
            case "leave-joint": outcome = try configuration.leavingJoint()
            default: return "unknown command '\(block.command)'"
            }
        } catch {
            return MembershipCases.text(error, of: block.command)
        }
        switch block.command {
        case "enter-joint": leavesByItself = block.value("autoleave") == "true"
        case "leave-joint": leavesByItself = false
        default: break
        }
        take(outcome)
        return MembershipCases.render(configuration, records, leavesByItself: leavesByItself)
    }

    static func operations(_ lines: [String]) throws(CaseFailure) -> [MembershipOperation] {
        var operations: [MembershipOperation] = []
        for word in lines.flatMap({ $0.split(separator: " ") }) {
            guard let number = UInt64(word.dropFirst()) else { throw CaseFailure("'\(word)' names no member") }
            let member = MemberID(number)
            switch word.first {
            case "v": operations.append(.addVoter(member))
            case "l": operations.append(.addLearner(member))
            case "r": operations.append(.remove(member))
            case "u": operations.append(.update(member))
            default: throw CaseFailure("'\(word)' is no operation")
            }
        }
        return operations
    }

    private mutating func take(_ outcome: MembershipOutcome) {
        configuration = outcome.configuration
        let members = configuration.members
        for member in Array(records.keys) where !members.contains(member) || outcome.renewed.contains(member) {
            records[member] = nil
        }
        for member in members {
            let next = records[member]?.next ?? max(last, 1)
            records[member] = Record(next: next, isLearner: configuration.learners.contains(member))
        }
    }

    /// What must hold after every block.
    func findings() -> [String] {
        var findings: [String] = []
        func require(_ condition: Bool, _ text: String) { if !condition { findings.append(text) } }
        let lists = [
            configuration.incoming, configuration.outgoing, configuration.learners, configuration.learnersNext,
        ]
        for list in lists { require(list == Array(Set(list)).sorted(), "a list is not ascending or names one twice") }
        for member in configuration.members {
            require(records[member] != nil, "\(member.number) has no record")
            require(member.number != 0, "member 0")
        }
        for member in configuration.learnersNext {
            require(configuration.outgoing.contains(member), "\(member.number) becomes a learner but was no voter")
            require(!configuration.incoming.contains(member), "\(member.number) becomes a learner and stays voter")
            require(records[member]?.isLearner == false, "\(member.number) is a learner before its time")
        }
        for member in configuration.learners {
            require(!configuration.isVoter(member), "\(member.number) votes and learns")
        }
        if !configuration.isJoint {
            require(configuration.learnersNext.isEmpty && !leavesByItself, "not joint, but about to leave")
        }
        return findings
    }

    static func text(_ error: MembershipError, of command: String) -> String {
        switch error {
        case .joint:
            command == "simple"
                ? "can't apply simple config change in joint config" : "config is already joint"
        case .notJoint: "can't leave a non-joint config"
        case .zeroVoters: "can't make a zero-voter config joint"
        case .removedAllVoters: "removed all voters"
        case .severalVoters: "more than one voter changed without entering joint config"
        }
    }

    static func render(
        _ configuration: Configuration, _ records: [MemberID: Record], leavesByItself: Bool
    ) -> String {
        func list(_ members: [MemberID]) -> String {
            "(" + members.map { String($0.number, radix: 16) }.joined(separator: " ") + ")"
        }
        var text = "voters=" + list(configuration.incoming)
        if configuration.isJoint { text += "&&" + list(configuration.outgoing) }
        if !configuration.learners.isEmpty { text += " learners=" + list(configuration.learners) }
        if !configuration.learnersNext.isEmpty { text += " learners_next=" + list(configuration.learnersNext) }
        if leavesByItself { text += " autoleave" }
        text += "\n"
        for member in records.keys.sorted() {
            guard let record = records[member] else { continue }
            text += "\(member.number): StateProbe match=0 next=\(record.next)\(record.isLearner ? " learner" : "")\n"
        }
        return text
    }
}

/// The rules of membership changes as the cases' description tells them: one operation after the other on sets.
struct DescribedMembership {
    private var incoming: Set<UInt64> = []
    private var outgoing: Set<UInt64> = []
    private var learners: Set<UInt64> = []
    private var learnersNext: Set<UInt64> = []
    private var records: [UInt64: MembershipCases.Record] = [:]
    private var last: UInt64 = 0

    mutating func run(_ block: CasesFile.Block) throws(CaseFailure) -> String {
        defer { last += 1 }
        var changed = self
        let isJoint = !outgoing.isEmpty
        switch block.command {
        case "simple":
            if isJoint { return MembershipCases.text(.joint, of: "simple") }
            changed.apply(block.input)
            if changed.incoming.isEmpty { return MembershipCases.text(.removedAllVoters, of: "") }
            if changed.incoming.symmetricDifference(incoming).count > 1 {
                return MembershipCases.text(.severalVoters, of: "")
            }
        case "enter-joint":
            if isJoint { return MembershipCases.text(.joint, of: "enter-joint") }
            if incoming.isEmpty { return MembershipCases.text(.zeroVoters, of: "") }
            changed.outgoing = incoming
            changed.apply(block.input)
            if changed.incoming.isEmpty { return MembershipCases.text(.removedAllVoters, of: "") }
        case "leave-joint":
            if !isJoint { return MembershipCases.text(.notJoint, of: "") }
            changed.leave()
        default: throw CaseFailure("unknown command '\(block.command)'")
        }
        self = changed
        func members(_ numbers: Set<UInt64>) -> [MemberID] { numbers.map { MemberID($0) } }
        return MembershipCases.render(
            Configuration(
                voters: members(incoming), outgoing: members(outgoing), learners: members(learners),
                learnersNext: members(learnersNext)),
            Dictionary(uniqueKeysWithValues: records.map { (MemberID($0.key), $0.value) }), leavesByItself: false)
    }

    private mutating func apply(_ lines: [String]) {
        for word in lines.flatMap({ $0.split(separator: " ") }) {
            guard let id = UInt64(word.dropFirst()), id != 0 else { continue }
            switch word.first {
            case "v": makeVoter(id)
            case "l": makeLearner(id)
            case "r": remove(id)
            default: break
            }
        }
    }

    private mutating func makeVoter(_ id: UInt64) {
        if records[id] == nil {
            records[id] = MembershipCases.Record(next: max(last, 1), isLearner: false)
        }
        records[id]?.isLearner = false
        learners.remove(id)
        learnersNext.remove(id)
        incoming.insert(id)
    }

    private mutating func makeLearner(_ id: UInt64) {
        guard let record = records[id] else {
            records[id] = MembershipCases.Record(next: max(last, 1), isLearner: true)
            learners.insert(id)
            return
        }
        if record.isLearner { return }
        incoming.remove(id)
        learnersNext.remove(id)
        if outgoing.contains(id) {
            learnersNext.insert(id)
        } else {
            records[id]?.isLearner = true
            learners.insert(id)
        }
    }

    private mutating func remove(_ id: UInt64) {
        incoming.remove(id)
        learners.remove(id)
        learnersNext.remove(id)
        if !outgoing.contains(id) { records[id] = nil }
    }

    private mutating func leave() {
        for id in learnersNext {
            learners.insert(id)
            records[id]?.isLearner = true
        }
        learnersNext = []
        for id in outgoing where !incoming.contains(id) && !learners.contains(id) { records[id] = nil }
        outgoing = []
    }
}
