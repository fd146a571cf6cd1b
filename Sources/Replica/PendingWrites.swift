import DequeModule
import Primitives
import RegistryModel

/// A write that has not been handed to a leader.
struct QueuedWrite: Sendable {
    var operation: Command.Operation
    /// nil for the member's own commands: nobody waits.
    var token: RequestToken?
    var context: RequestContext
    var deadline: Instant
    var identity = Identity.none
}

/// A write on its way: proposed here or forwarded to the leader of `term`.
struct PendingWrite: Sendable {
    var write: QueuedWrite
    var term: Term
}

/// The writes of this member's clients, from arrival to answer.
///
/// Serials are given when a write is handed to a leader, so they ascend with the terms: everything at the front of
/// `order` belongs to the oldest term.
struct PendingWrites: Sendable {
    private(set) var queue = Deque<QueuedWrite>()
    private var bySerial: [UInt64: PendingWrite] = [:]
    private var order = Deque<UInt64>()
    private var lastSerial: UInt64 = 0
    /// A leader just refused: nothing is handed out before this instant or the next change of leadership.
    var heldUntil = Instant.zero

    /// Requests in the queue and on their way.
    var count: Int { queue.count + bySerial.count }
    var isQueueEmpty: Bool { queue.isEmpty }

    mutating func enqueue(_ write: QueuedWrite) {
        queue.append(write)
    }

    /// Takes the next queued write and gives it its serial.
    mutating func handOut(term: Term) -> (serial: UInt64, write: QueuedWrite)? {
        guard let write = queue.popFirst() else { return nil }
        lastSerial += 1
        bySerial[lastSerial] = PendingWrite(write: write, term: term)
        order.append(lastSerial)
        return (lastSerial, write)
    }

    /// The write with this serial is decided.
    mutating func finish(_ serial: UInt64) -> QueuedWrite? {
        bySerial.removeValue(forKey: serial)?.write
    }

    /// The leader refused it untouched: back to the queue, its deadline kept.
    mutating func giveBack(_ serial: UInt64) {
        guard let pending = bySerial.removeValue(forKey: serial) else { return }
        queue.append(pending.write)
    }

    /// Writes handed to leaders of terms before `term`; with an entry of `term` applied they are surely not in the log.
    mutating func takeOlder(than term: Term) -> [QueuedWrite] {
        var found: [QueuedWrite] = []
        while let serial = order.first {
            guard let pending = bySerial[serial] else {
                order.removeFirst()
                continue
            }
            guard pending.term < term else { break }
            order.removeFirst()
            bySerial[serial] = nil
            found.append(pending.write)
        }
        return found
    }

    /// Writes past their deadline, queued or on their way.
    mutating func takeOverdue(at now: Instant) -> (queued: [QueuedWrite], sent: [QueuedWrite]) {
        var queued: [QueuedWrite] = []
        while let first = queue.first, first.deadline <= now {
            queued.append(first)
            queue.removeFirst()
        }
        var sent: [QueuedWrite] = []
        while let serial = order.first {
            guard let pending = bySerial[serial] else {
                order.removeFirst()
                continue
            }
            guard pending.write.deadline <= now else { break }
            order.removeFirst()
            bySerial[serial] = nil
            sent.append(pending.write)
        }
        return (queued, sent)
    }

    /// The earliest deadline worth waking for.
    var nextDeadline: Instant {
        var next = queue.first?.deadline ?? .distantFuture
        for serial in order {
            guard let pending = bySerial[serial] else { continue }
            next = min(next, pending.write.deadline)
            break
        }
        if !queue.isEmpty, heldUntil > .zero { next = min(next, heldUntil) }
        return next
    }
}
