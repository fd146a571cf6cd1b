import AgentCore
import Primitives
import RegistryModel

/// One agent's connection to the registry: to one member at a time, to the next when that one fails.
///
/// Behaves as the client library does: calls that may be repeated are sent again on the next connection, others fail as
/// "perhaps done"; silence is noticed after two seconds; a round of failures is followed by a pause.
final class HostLink {
    /// Why a call was made: who gets the answer.
    enum Purpose {
        case lease(RegistryID, RequestID)
        case keepAlive(RegistryID, RequestID, lease: Int64)
        case write(RegistryID, RequestID)
        case leaseReading(RegistryID, RequestID, lease: Int64)
        /// A page of a prefix for the watch, or the read before its stream is opened.
        case discovery(WatchID, attempt: UInt64)
    }

    struct Call {
        var request: Request
        var purpose: Purpose
        var isRepeatable: Bool
        /// The attempt under way.
        var attempt: UInt64?
    }

    /// A connection that stands.
    struct Connection: Equatable {
        var member: MemberID
        var memberLife: UInt64
        /// Never used again.
        var number: UInt64
    }

    /// Silence of this length ends a connection: the client asks after one second, and waits another for the answer.
    static let silenceMax = TimeSpan.seconds(2)
    static let dialTimeout = TimeSpan.seconds(1)
    /// A time without a connection that is worth a word when there is one again.
    static let outageGrace = TimeSpan.milliseconds(500)

    let number: UInt64
    let host: Int
    let isNerve: Bool
    var connection: Connection?
    /// Voids dials of before.
    var dials: UInt64 = 0
    var isDialing = false
    /// Which of the members present is tried.
    var place: Int
    /// Since the last good answer.
    private(set) var failures = 0
    var lastHeard = Instant.zero
    var downSince: Instant?
    /// By call number; looked up, and walked in order of numbers only.
    var calls: [UInt64: Call] = [:]
    /// Nothing arrives before what was sent earlier.
    var lastUp = Instant.zero
    var lastDown = Instant.zero

    init(_ number: UInt64, host: Int, isNerve: Bool, place: Int, at now: Instant) {
        self.number = number
        self.host = host
        self.isNerve = isNerve
        self.place = place
        downSince = now
    }

    /// A good answer of a working member: the count of failures starts anew.
    func workedWell() {
        failures = 0
    }

    /// The member in use failed, or the one that was tried.
    ///
    /// - Parameter count: of the members present.
    /// - Returns: how long to wait before the next is tried: nothing within a round, then between 10 and 20 ms, half as much
    ///   again for each further round, at most 500 ms.
    func failed(of count: Int, _ draws: inout SeededGenerator) -> TimeSpan {
        failures += 1
        let (rounds, position) = (failures - 1).quotientAndRemainder(dividingBy: max(count, 1))
        guard rounds > 0, position == 0 else { return .zero }
        var least = TimeSpan.milliseconds(10)
        for _ in 1..<min(rounds, 12) { least = min(least + least / 2, .milliseconds(500)) }
        return draws.span(min(least, .milliseconds(250)), min(least * 2, .milliseconds(500)))
    }
}

/// Everything that is planned for hosts.
enum HostEvent {
    case nerveTimer(host: Int, life: UInt64)
    case synapseTimer(host: Int, life: UInt64)
    case probeDone(host: Int, life: UInt64, ProbeID, ProbeResult)
    case instanceTurn(Int, change: UInt64, SimulatedInstance.Health)
    case agentStart(Int)

    // The connection.
    case dialed(link: UInt64, dial: UInt64, MemberID)
    case dialFailed(link: UInt64, dial: UInt64)
    case dialAgain(link: UInt64, dial: UInt64)
    case keepAlive(link: UInt64, connection: UInt64)
    case connectionClosed(link: UInt64, connection: UInt64)
    case callOverdue(link: UInt64, call: UInt64)
    /// At the member: a request of an attempt.
    case request(host: Int, HostLink.Connection, Request, attempt: UInt64, sentAt: Instant)
    /// At the agent.
    case answer(host: Int, link: UInt64, call: UInt64, attempt: UInt64, Reply)
    case watched(host: Int, link: UInt64, stream: UInt64, WatchDelivery, term: UInt64)
    case streamEnded(host: Int, link: UInt64, stream: UInt64)
    /// At the member: events were sent to the client; the client is gone.
    case consumed(MemberID, life: UInt64, StreamID, Int)
    case streamClosed(MemberID, life: UInt64, StreamID)

    // The watches of synapse.
    case watchRetry(host: Int, life: UInt64, WatchID, attempt: UInt64)
    case outage(host: Int, life: UInt64, WatchID, outage: UInt64)

    // HAProxy and the disk.
    case commands(host: Int, life: UInt64, JobID, [String])
    case fileWritten(host: Int, life: UInt64, JobID, path: String, [UInt8], isState: Bool)
    case reloaded(host: Int, life: UInt64, JobID)

    // Faults.
    case killSome
    case crashSomeAgent
    case crashSomeHost
    case cutSome
    case darken
    case uncut(Int, cut: UInt64)
    case replaceRegistry
    case registryReturns
    case look
}
