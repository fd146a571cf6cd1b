/// A piece of history for a watch that catches up, from the memory window or from the state store.
package enum HistoryEvents: Sendable {
    /// Whole revisions, ascending: every event of the interval from the revision asked for through this one. The
    /// previous pair is absent where the revision before the event has been compacted.
    case events([KVEvent], through: Revision)
    /// The revision asked for lies below this compact revision.
    case compacted(Revision)
}
