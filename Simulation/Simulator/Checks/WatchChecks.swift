import Primitives
import RegistryModel

/// What one watch may still be sent, across all the streams that carried it: everything follows from one cursor.
struct WatchCursor {
    let range: KeyRange
    let wantsPrevious: Bool
    let wantsPuts: Bool
    let wantsDeletes: Bool
    /// What the client asked for first; zero until a watch from "now" was confirmed.
    private(set) var start: Revision
    /// The first revision whose events have not been delivered; zero until known.
    private(set) var next: Revision
    /// Of the last event on the present stream; zero before it.
    private(set) var lastOnStream = Revision.zero
    private(set) var eventsSeen = 0

    init(_ request: WatchRequest) {
        range = request.range
        wantsPrevious = request.wantsPrevious
        wantsPuts = request.wantsPuts
        wantsDeletes = request.wantsDeletes
        start = request.startRevision
        next = request.startRevision
    }

    func wants(_ event: KVEvent) -> Bool {
        (event.kind == .put ? wantsPuts : wantsDeletes) && range.contains(event.kv.key)
    }

    /// The first revision in an interval with an event of this watch.
    func firstWanted(from: Revision, through: Revision, in model: Model) -> Revision? {
        var revision = max(from, Revision.initial.next)
        while revision <= through {
            if model.events(of: revision).contains(where: wants) { return revision }
            revision = revision.next
        }
        return nil
    }

    // MARK: What happens to it

    /// Carried by another stream from now on.
    mutating func resumed() {
        lastOnStream = .zero
    }

    /// The member confirms the watch at a revision of its own.
    mutating func created(at revision: Revision, _ name: String, in model: Model, at now: Instant) throws(Violation) {
        if revision > model.revision {
            throw Violation(
                .watchBookmarks, "\(name) is confirmed at \(revision.number), ahead of the log", at: now)
        }
        guard start == .zero else { return }
        start = revision.next
        next = start
    }

    /// Events of whole revisions, as one delivery brought them.
    mutating func delivered(
        _ events: [KVEvent], header: Revision, _ name: String, in model: Model, at now: Instant
    ) throws(Violation) {
        guard let first = events.first, let last = events.last else {
            throw Violation(.watchFilter, "\(name) gets a delivery without events", at: now)
        }
        if header < last.revision || header > model.revision {
            throw Violation(
                .watchOrder,
                "\(name) gets events up to \(last.revision.number) under the header \(header.number), the log is at "
                    + "\(model.revision.number)", at: now)
        }
        try checkBelow(first, name, at: now)
        var place = 0
        while place < events.count {
            let revision = events[place].revision
            try checkNext(revision, after: place == 0 ? nil : events[place - 1], name, in: model, at: now)
            var end = place + 1
            while end < events.count, events[end].revision == revision { end += 1 }
            try compare(events[place..<end], with: model.events(of: revision).filter(wants), name, in: model, at: now)
            next = revision.next
            lastOnStream = revision
            place = end
        }
        eventsSeen += events.count
    }

    private func checkBelow(_ first: KVEvent, _ name: String, at now: Instant) throws(Violation) {
        let revision = first.revision
        if start == .zero || revision < start {
            throw Violation(
                .watchStart, "\(name) gets an event of \(revision.number), it began at \(start.number)", at: now)
        }
        if revision < lastOnStream {
            throw Violation(
                .watchOrder, "\(name) gets revision \(revision.number) after \(lastOnStream.number)", at: now)
        }
        if revision < next {
            throw Violation(
                .watchUnique,
                "\(name) gets \(first.kv.key.text) of revision \(revision.number) again, it was up to "
                    + "\(next.number - 1)", at: now)
        }
    }

    private func checkNext(
        _ revision: Revision, after previous: KVEvent?, _ name: String, in model: Model, at now: Instant
    ) throws(Violation) {
        if let previous, revision < previous.revision {
            throw Violation(
                .watchOrder, "\(name) gets revision \(revision.number) after \(previous.revision.number)", at: now)
        }
        if let missed = firstWanted(from: next, through: Revision(revision.number - 1), in: model) {
            throw Violation(
                .watchGap, "\(name) jumps from \(next.number) to \(revision.number) over \(missed.number)", at: now)
        }
    }

    /// All of one revision.
    private func compare(
        _ events: ArraySlice<KVEvent>, with expected: [KVEvent], _ name: String, in model: Model, at now: Instant
    ) throws(Violation) {
        let revision = events[events.startIndex].revision
        if let foreign = events.first(where: { event in
            !expected.contains { $0.kind == event.kind && $0.kv.key == event.kv.key }
        }) {
            throw Violation(
                .watchFilter,
                "\(name) gets \(foreign.kind) of \(foreign.kv.key.text) in \(revision.number), which it did not ask for "
                    + "or which was not", at: now)
        }
        if events.count < expected.count {
            throw Violation(
                .watchAtomic,
                "\(name) gets \(events.count) of the \(expected.count) events of revision \(revision.number)", at: now)
        }
        if events.count > expected.count {
            throw Violation(.watchUnique, "\(name) gets events of revision \(revision.number) twice", at: now)
        }
        for (event, wanted) in zip(events, expected) {
            let mayLackPrevious = revision.number - 1 < model.compactRevision.number
            let isPreviousRight = event.previous == wanted.previous || (event.previous == nil && mayLackPrevious)
            if event.kind != wanted.kind || event.kv != wanted.kv || !isPreviousRight {
                throw Violation(
                    .watchContents,
                    "\(name) gets \(event.kind) \(event.kv.text) after \(event.previous?.text ?? "nothing"), the model has "
                        + "\(wanted.kind) \(wanted.kv.text) after \(wanted.previous?.text ?? "nothing")", at: now)
            }
        }
    }

    /// Everything up to `revision` has been delivered, the member says.
    mutating func bookmarked(
        _ revision: Revision, _ name: String, in model: Model, at now: Instant
    ) throws(Violation) {
        if revision > model.revision || revision < lastOnStream || revision < Revision(start.number - 1) {
            throw Violation(
                .watchBookmarks,
                "\(name), begun at \(start.number) and now at \(next.number), is told that \(revision.number) is "
                    + "reached", at: now)
        }
        if let missed = firstWanted(from: next, through: revision, in: model) {
            throw Violation(
                .watchBookmarks,
                "\(name) is told that \(revision.number) is reached, and \(missed.number) was not delivered", at: now)
        }
        next = max(next, revision.next)
    }

    /// Ended because history is gone. The watch goes on from what is left.
    mutating func compacted(
        to revision: Revision, _ name: String, in model: Model, at now: Instant
    ) throws(Violation) {
        if revision <= next || revision > model.compactRevision {
            throw Violation(
                .watchCompaction,
                "\(name) at \(next.number) ends by a compaction to \(revision.number), the log has one to "
                    + "\(model.compactRevision.number)", at: now)
        }
        start = revision
        next = revision
    }

    func isServed(in model: Model) -> Bool {
        next == .zero || firstWanted(from: next, through: model.revision, in: model) == nil
    }

    /// At rest nothing is owed.
    func finish(_ name: String, in model: Model, at now: Instant) throws(Violation) {
        guard next != .zero, let owed = firstWanted(from: next, through: model.revision, in: model) else { return }
        throw Violation(
            .watchDelivery, "\(name) still waits for revision \(owed.number) of \(model.revision.number)", at: now)
    }
}
