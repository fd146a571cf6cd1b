import Primitives
import RegistryModel

/// The ids that a static `--initial-cluster` gives: every member computes the same from the same flags.
///
/// Source: etcd's rule. A member id is the first eight bytes (big endian) of SHA-1 over the member's sorted peer URLs
/// followed by the token; the cluster id likewise over all member ids in ascending order.
struct BootstrapIdentity: Hashable, Sendable {
    var cluster: ClusterID
    /// Ascending ids.
    var members: [MemberDescription]

    /// - Parameter initialCluster: names and peer URLs; a repeated name adds URLs to the same member.
    init(initialCluster: [(name: String, url: String)], token: String) throws(ConfigurationError) {
        var urlsByName: [(name: String, urls: [String])] = []
        for (name, url) in initialCluster {
            if let position = urlsByName.firstIndex(where: { $0.name == name }) {
                urlsByName[position].urls.append(url)
            } else {
                urlsByName.append((name, [url]))
            }
        }
        members = urlsByName.map { entry in
            let urls = entry.urls.sorted()
            let id = BootstrapIdentity.prefix(of: Array((urls.joined() + token).utf8))
            return MemberDescription(id: MemberID(id), name: "", peerURLs: urls, clientURLs: [])
        }
        members.sort { $0.id < $1.id }
        for (one, two) in zip(members, members.dropFirst()) where one.id == two.id {
            throw ConfigurationError("--initial-cluster gives two members the same peer URLs \(one.peerURLs)")
        }
        var bytes: [UInt8] = []
        for member in members {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: member.id.number >> shift))
            }
        }
        cluster = ClusterID(BootstrapIdentity.prefix(of: bytes))
    }

    /// The id of the member with these peer URLs.
    func member(withPeerURLs urls: [String]) -> MemberDescription? {
        let sorted = urls.sorted()
        return members.first { $0.peerURLs == sorted }
    }

    private static func prefix(of bytes: some Sequence<UInt8>) -> UInt64 {
        SHA1.digest(of: Array(bytes)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// SHA-1 for identifiers that must equal etcd's; it protects nothing.
///
/// Source: FIPS 180-4 §6.1.
enum SHA1 {
    static func digest(of message: [UInt8]) -> [UInt8] {
        var state: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
        var padded = message + [0x80]
        padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
        let bits = UInt64(message.count) * 8
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            padded.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
        for start in stride(from: 0, to: padded.count, by: 64) { mix(padded[start..<(start + 64)], into: &state) }
        return state.flatMap { word in
            stride(from: UInt32(24), through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> $0) }
        }
    }

    private static func mix(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
        var words: [UInt32] = stride(from: block.startIndex, to: block.endIndex, by: 4).map { position in
            block[position..<(position + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
        for position in 16..<80 {
            words.append(
                rotate(words[position - 3] ^ words[position - 8] ^ words[position - 14] ^ words[position - 16], 1))
        }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for position in 0..<80 {
            let (function, constant): (UInt32, UInt32) =
                switch position {
                case 0..<20: ((b & c) | (~b & d), 0x5A82_7999)
                case 20..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                case 40..<60: ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC)
                default: (b ^ c ^ d, 0xCA62_C1D6)
                }
            let next = rotate(a, 5) &+ function &+ e &+ constant &+ words[position]
            (a, b, c, d, e) = (next, a, rotate(b, 30), c, d)
        }
        for (position, value) in [a, b, c, d, e].enumerated() { state[position] = state[position] &+ value }
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 {
        (word << count) | (word >> (32 - count))
    }
}
