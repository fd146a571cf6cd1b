/// Damage that an inspection found.
package struct StorageFinding: Hashable, Sendable {
    package var path: String
    /// Where in the file, in words: "page 7", "segment 3, offset 8192, record 12, entry 11".
    package var place: String
    package var problem: String
    /// Whether the member that owns the file puts it in order by itself at its next start.
    package var isHarmless: Bool
}

extension StorageFinding: CustomStringConvertible {
    package var description: String { "\(path): \(place): \(problem)" }
}
