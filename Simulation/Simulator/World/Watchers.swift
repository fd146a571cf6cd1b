import Primitives
import RegistryModel

/// Simulated watch clients: streams with several watches each, that move from member to member and read at their own
/// speed. A watch keeps its cursor wherever it goes.
struct Watchers {
    static let sink: UInt32 = 3

    struct LogicalWatch {
        enum State: Equatable {
            /// Not on any member.
            case waiting
            case creating(serial: UInt64)
            case live(id: Int64)
            case canceling(id: Int64)
        }

        var number: Int
        var state = State.waiting
        var request: WatchRequest
        var cursor: WatchCursor
        /// Asked for a revision that nobody had reached.
        var beganInFuture = false

        var id: Int64? {
            switch state {
            case .live(let id), .canceling(let id): id
            case .waiting, .creating: nil
            }
        }
    }

    struct Stream {
        /// Where it is connected.
        var home: (member: MemberID, life: UInt64)?
        /// Of the connection, unique in the run.
        var number: UInt64 = 0
        var watches: [LogicalWatch] = []
        /// Delivered events not yet reported as read.
        var unread = 0
        var isReading = false
        /// How long it takes to read; zero: at once.
        var slowness: TimeSpan
        /// Progress requests on this connection that may still be answered; several may share an answer.
        var owedProgress = 0
        /// Some watch at its member was being served from history when it last read.
        var isBehind = false
        var askedProgressAt = Instant.zero
        /// Where its watches were last, for coverage.
        var lastMember: MemberID?
    }

    let options: LoadOptions
    var draws: SeededGenerator
    var streams: [Stream]
    private var lastNumber: UInt64 = 0
    private var lastSerial: UInt64 = 0
    private var lastWatch = 0

    init(options: LoadOptions, seed: UInt64) {
        self.options = options
        draws = SeededGenerator(seed: seed, purpose: "watchers")
        var slow = SeededGenerator(seed: seed, purpose: "watchers.slowness")
        streams = (0..<options.watchStreams).map { _ in
            Stream(slowness: slow.chance(1, in: 2) ? slow.span(.milliseconds(1), options.readDelayMax) : .zero)
        }
    }

    mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func nextSerial() -> UInt64 {
        lastSerial += 1
        return lastSerial
    }

    // MARK: Looking

    func stream(numbered number: UInt64, at member: MemberID) -> Int? {
        streams.firstIndex { $0.number == number && $0.home?.member == member }
    }

    func place(of watchID: Int64, in stream: Int) -> Int? {
        streams[stream].watches.firstIndex { $0.id == watchID }
    }

    func place(creating serial: UInt64) -> (stream: Int, watch: Int)? {
        for stream in streams.indices {
            if let watch = streams[stream].watches.firstIndex(where: { $0.state == .creating(serial: serial) }) {
                return (stream, watch)
            }
        }
        return nil
    }

    /// For messages.
    func name(_ stream: Int, _ watch: Int) -> String {
        let home = streams[stream].home.map { " on m\($0.member.number)" } ?? ""
        return "watch \(streams[stream].watches[watch].number) of stream \(stream)\(home)"
    }

    // MARK: Wishes

    /// - Parameters:
    ///   - present: what the client believes the revision to be.
    ///   - compacted: the log's compact revision.
    mutating func newWatch(keys: Int, present: Revision, compacted: Revision) -> LogicalWatch {
        var request = WatchRequest(range: range(keys: keys), startRevision: start(present, compacted))
        request.wantsPrevious = draws.chance(1, in: 2)
        request.progressNotify = draws.chance(1, in: 3)
        switch draws.below(8) {
        case 0: request.wantsPuts = false
        case 1: request.wantsDeletes = false
        default: break
        }
        lastWatch += 1
        if draws.chance(1, in: 5) { request.watchID = Int64(1_000 + lastWatch) }
        var watch = LogicalWatch(number: lastWatch, request: request, cursor: WatchCursor(request))
        watch.beganInFuture = request.startRevision > present
        return watch
    }

    private mutating func range(keys: Int) -> KeyRange {
        func key() -> Key { Key("k\(draws.below(UInt64(keys)))") }
        switch draws.below(8) {
        case 0: return .all
        case 1: return KeyRange(start: key(), end: .unbounded)
        case 2:
            let (one, two) = (key(), key())
            return one < two ? KeyRange(start: one, end: .before(two)) : .prefix(one)
        case 3: return .prefix(Key("lease/"))
        case 4: return .prefix(Key("account/"))
        case 5: return .prefix(Key("k"))
        default: return .prefix(key())
        }
    }

    private mutating func start(_ present: Revision, _ compacted: Revision) -> Revision {
        switch draws.below(10) {
        case 0: return Revision(max(1, compacted.number))
        case 1: return Revision(1)
        case 2, 3: return Revision(max(1, present.number - draws.within(0...200)))
        case 4: return Revision(present.number + draws.within(1...40))
        default: return .zero
        }
    }
}
