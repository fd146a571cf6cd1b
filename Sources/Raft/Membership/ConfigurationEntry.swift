package import Primitives

/// Payload of an entry of kind `configuration`: the complete new configuration, not a difference, so that every member
/// that has the entry knows the whole of it.
package struct ConfigurationEntry: Hashable, Sendable {
    package var configuration: Configuration
    /// What the state machine is to do with the change. Opaque to Raft; empty when a joint configuration is left.
    package var context: [UInt8]

    package init(configuration: Configuration, context: [UInt8] = []) {
        self.configuration = configuration
        self.context = context
    }

    private static let formatVersion: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: 80 + context.count)
        writer.byte(ConfigurationEntry.formatVersion)
        writer.prefixed(configuration.encoded())
        writer.prefixed(context)
        return writer.bytes
    }

    /// - Throws: `truncated`, `invalid` or `newerVersion`, naming the field.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> ConfigurationEntry {
        var reader = ByteReader(bytes)
        let version = try reader.byte("configurationEntry.version")
        guard version <= formatVersion else {
            throw .newerVersion(found: UInt64(version), known: UInt64(formatVersion))
        }
        guard version == formatVersion else { throw .invalid("configurationEntry.version") }
        let configuration = try Configuration.decode(try reader.prefixed("configurationEntry.configuration"))
        let context = try reader.prefixed("configurationEntry.context")
        guard reader.isAtEnd else { throw .invalid("configurationEntry: trailing bytes") }
        return ConfigurationEntry(configuration: configuration, context: context)
    }
}
