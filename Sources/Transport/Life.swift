package import Primitives

/// One life of a member: a process, from the opening of the data directory to its end.
package struct Life: Hashable, Sendable {
    /// How often the directory has been opened. No two lives on one directory have the same.
    package var incarnation: Incarnation
    /// Drawn at the start: tells a life apart from one with the same count on a copy of the directory.
    package var nonce: UInt64

    package init(_ incarnation: Incarnation, nonce: UInt64) {
        self.incarnation = incarnation
        self.nonce = nonce
    }

    /// Why this life cannot be the member's, given the latest one that was seen; nil when it can.
    package func obstacle(after latest: Life?) -> String? {
        guard let latest, self != latest, incarnation <= latest.incarnation else { return nil }
        let seen =
            incarnation == latest.incarnation ? "another process in that life" : "life \(latest.incarnation.number)"
        return
            "this is its life \(incarnation.number), but \(seen) has been seen: it runs on an older copy of its data "
            + "directory. Remove it from the cluster and add a new member"
    }
}
