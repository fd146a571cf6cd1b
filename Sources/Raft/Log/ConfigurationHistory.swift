package import Primitives

/// The configurations the log knows: the base's and one per configuration entry. A configuration is in force from
/// the moment its entry is appended, and no longer when that entry is truncated.
///
/// Source: dissertation §4.1 ("uses the latest configuration in its log").
package struct ConfigurationHistory: Sendable {
    private struct Change: Sendable {
        var index: LogIndex
        var configuration: Configuration
    }

    /// Ascending; never empty. The first one belongs to the log's base.
    private var changes: [Change]
    /// Of the latest configuration; kept because every acknowledgement asks.
    package private(set) var quorum: JointQuorum

    package init(base: LogBase) {
        changes = [Change(index: base.position.index, configuration: base.configuration)]
        quorum = JointQuorum(base.configuration)
    }

    package var latest: Configuration { changes[changes.count - 1].configuration }

    /// The one before the latest; nil when that is the base's.
    package var previous: Configuration? {
        changes.count > 1 ? changes[changes.count - 2].configuration : nil
    }

    /// The entry the latest configuration came with, or the base.
    package var latestIndex: LogIndex { changes[changes.count - 1].index }

    /// The configuration in force at `index`, not before the base.
    package func configuration(asOf index: LogIndex) -> Configuration {
        for change in changes.reversed() where change.index <= index { return change.configuration }
        preconditionFailure("configuration as of \(index.number), base \(changes[0].index.number)")
    }

    package mutating func append(_ configuration: Configuration, at index: LogIndex) {
        precondition(index > latestIndex, "configuration at \(index.number) after \(latestIndex.number)")
        changes.append(Change(index: index, configuration: configuration))
        quorum = JointQuorum(configuration)
    }

    /// - Returns: whether the latest configuration changed.
    package mutating func truncate(from index: LogIndex) -> Bool {
        let before = changes.count
        while changes.count > 1, latestIndex >= index { changes.removeLast() }
        guard changes.count < before else { return false }
        quorum = JointQuorum(latest)
        return true
    }

    package mutating func compact(to index: LogIndex) {
        var dropped = 0
        while dropped + 1 < changes.count, changes[dropped + 1].index <= index { dropped += 1 }
        changes.removeFirst(dropped)
        changes[0].index = index
    }
}
