import Linearizability
import Primitives
import RegistryModel

/// What clients saw of single keys, judged by the definition of linearizability and without a look at revisions: the
/// order that revisions tell, and every check that trusts it, is itself what has to be proved.
///
/// The search costs more than all other checks together, so only a sample of the runs pays for it.
struct BlackBox {
    typealias KeyOperation = HistoryOperation<RegistryKeyModel.Input, RegistryKeyModel.Output>

    /// One seed in so many.
    static let sampled: UInt64 = 16
    /// Tries of the search for each key, about a tenth of a second.
    static let budget = 200_000
    /// Longer histories prove little more and cost much more.
    private static let operationsMax = 500

    private struct Record {
        var key: Key
        var operations: [KeyOperation] = []
        /// Nothing is added any more, and what was open stays of unknown outcome.
        var isClosed = false
    }

    private struct Place {
        var record: Int
        var operation: Int
    }

    private let isOn: Bool
    private var records: [Record] = []
    private var numbers: [Key: Int] = [:]
    /// Operations that have not ended, by serial.
    private var open: [UInt64: Place] = [:]
    /// What clients saw under each revision; none under revision zero, which stands for an absent key.
    var handles: [Revision: [UInt8]] = [:]

    init(seed: UInt64) {
        isOn = seed % Self.sampled == 0
    }

    /// - Parameter input: a write's value must be unique in the run.
    mutating func began(
        _ input: RegistryKeyModel.Input, key: Key, serial: UInt64, client: Int, at now: Instant
    ) {
        guard isOn else { return }
        let record = number(of: key)
        guard !records[record].isClosed else { return }
        open[serial] = Place(record: record, operation: records[record].operations.count)
        records[record].operations.append(
            KeyOperation(client: client, invokedAt: now.nanoseconds, returnedAt: nil, input: input, output: nil))
        records[record].isClosed = records[record].operations.count == Self.operationsMax
    }

    /// The answer to `serial` came; nothing happens when that was not recorded.
    mutating func ended(_ serial: UInt64, _ output: RegistryKeyModel.Output, at now: Instant) {
        guard let place = open.removeValue(forKey: serial), !records[place.record].isClosed else { return }
        records[place.record].operations[place.operation].returnedAt = now.nanoseconds
        records[place.record].operations[place.operation].output = output
    }

    /// `serial` was surely not carried out: it could as well have read.
    mutating func refused(_ serial: UInt64) {
        guard let place = open.removeValue(forKey: serial) else { return }
        records[place.record].operations[place.operation].input = .get
    }

    /// Nobody will ever know whether `serial` was carried out.
    mutating func lost(_ serial: UInt64) {
        open.removeValue(forKey: serial)
    }

    private mutating func number(of key: Key) -> Int {
        if let known = numbers[key] { return known }
        numbers[key] = records.count
        records.append(Record(key: key))
        return records.count - 1
    }

    /// How many keys were judged, and for how many the budget did not suffice.
    ///
    /// - Throws: a `Violation` of K2 for the first key whose history has no order.
    func judge(at now: Instant) throws(Violation) -> (keys: Int, unknown: Int) {
        var result = (keys: 0, unknown: 0)
        for record in records {
            result.keys += 1
            switch Self.verdict(record.operations) {
            case .linearizable: break
            case .unknown: result.unknown += 1
            case .notLinearizable(let why):
                throw Violation(
                    .linearizableReads, "what clients saw of \(record.key.text) has no order: \(why)", at: now)
            }
        }
        return result
    }

    /// - Parameter operations: of one key, in any order.
    static func verdict(_ operations: [KeyOperation], budget: Int = Self.budget) -> LinearizabilityVerdict {
        LinearizabilityChecker.check(operations, RegistryKeyModel(), budget: budget)
    }
}
