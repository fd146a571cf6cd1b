import EtcdProto
import Foundation
import SwiftProtobuf

/// What the numbers of a sequence stand for on one server, so that the same calls can be played on several servers
/// and again and again.
///
/// Normalisation "names": a sequence starts on an empty, compacted store at some revision. Its calls and the answers it
/// compares have numbers relative to that: `Names.revision(3)` is the third revision of the sequence, `Names.lease(1)`
/// the first lease whose id the server chose. Reports show them as `R+3` and `L1`.
struct Names: Sendable {
    private static let revisionMark: Int64 = 1_000_000_000_000
    private static let leaseMark: Int64 = 2_000_000_000_000
    /// How far from its mark a number may be and still stand for something.
    private static let reach: Int64 = 1_000_000_000
    private static let revisions = revisionMark - reach...revisionMark + reach
    private static let leases = leaseMark + 1...leaseMark + reach
    /// Stands in for a lease that was never granted.
    private static let strangeLease: Int64 = 424_242

    /// The server's revision at the start of the sequence.
    var base: Int64 = 0
    /// The ids that the server chose in this sequence, in order.
    var leases: [Int64] = []
    /// Whether the server checks who asks.
    var isAuthOn = false

    /// The number of the sequence's `offset`th revision in calls and compared answers.
    static func revision(_ offset: Int64) -> Int64 { revisionMark + offset }

    /// The number of the `number`th lease, from 1, whose id the server chooses.
    static func lease(_ number: Int) -> Int64 { leaseMark + Int64(number) }

    /// Ids up to this size are chosen by calls; servers choose larger ones.
    static func isChosenByServer(lease: Int64) -> Bool { lease > reach }

    fileprivate func realRevision(_ number: Int64) -> Int64 {
        Self.revisions.contains(number) ? number - Self.revisionMark + base : number
    }

    fileprivate func namedRevision(_ number: Int64) -> Int64 {
        number <= 0 ? number : Self.revision(number - base)
    }

    fileprivate func realLease(_ number: Int64) -> Int64 {
        guard Self.leases.contains(number) else { return number }
        let place = Int(number - Self.leaseMark - 1)
        return leases.indices.contains(place) ? leases[place] : Self.strangeLease
    }

    fileprivate func namedLease(_ number: Int64) -> Int64 {
        leases.firstIndex(of: number).map { Self.lease($0 + 1) } ?? number
    }

    /// A key as a sequence names it, with the server's own id at its end: the keys of locks and elections end with
    /// the id of a lease in hexadecimal, and sequences write `name/L1` where the server chooses that id.
    fileprivate func realKey(_ key: Data) -> Data {
        guard let (name, end) = Self.parted(key), end.first == "L", let number = Int(end.dropFirst()), number > 0 else {
            return key
        }
        return name + Data(String(realLease(Self.lease(number)), radix: 16).utf8)
    }

    fileprivate func namedKey(_ key: Data) -> Data {
        guard let (name, end) = Self.parted(key), let id = Int64(end, radix: 16),
            let place = leases.firstIndex(of: id)
        else { return key }
        return name + Data("L\(place + 1)".utf8)
    }

    /// Up to the last slash with it, and what follows.
    private static func parted(_ key: Data) -> (name: Data, end: String)? {
        guard let slash = key.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return (Data(key[...slash]), String(decoding: key[(slash + 1)...], as: UTF8.self))
    }

    /// Learns a lease from the key of a lock.
    mutating func learn(sessionKey key: Data) {
        guard let (_, end) = Self.parted(key), let id = Int64(end, radix: 16) else { return }
        learn(lease: id)
    }

    mutating func learn(lease id: Int64) {
        if Self.isChosenByServer(lease: id), !leases.contains(id) { leases.append(id) }
    }

    /// A text with the numbers as people read them.
    static func readable(_ text: String) -> String {
        var result = ""
        var digits = ""
        for character in text + " " {
            if character.isASCII, character.isNumber {
                digits.append(character)
            } else {
                result += readable(digits: digits)
                digits = ""
                result.append(character)
            }
        }
        return String(result.dropLast())
    }

    private static func readable(digits: String) -> String {
        guard let number = Int64(digits) else { return digits }
        if revisions.contains(number) {
            return number < revisionMark ? "R\(number - revisionMark)" : "R+\(number - revisionMark)"
        }
        return leases.contains(number) ? "L\(number - leaseMark)" : digits
    }
}

/// Goes over the numbers of a message on its way to a server or back.
struct Renaming: Sendable {
    enum Direction: Sendable { case toServer, fromServer }

    var names: Names
    var direction: Direction

    func revision(_ number: inout Int64) {
        number = direction == .toServer ? names.realRevision(number) : names.namedRevision(number)
    }

    func lease(_ number: inout Int64) {
        number = direction == .toServer ? names.realLease(number) : names.namedLease(number)
    }

    func key(_ key: inout Data) {
        key = direction == .toServer ? names.realKey(key) : names.namedKey(key)
    }
}

/// A message that can be played on any server: it says which of its numbers are revisions and leases, and makes equal
/// what correct servers may answer differently (see `Normalisation` of the differential test).
protocol Replayable: SwiftProtobuf.Message, Sendable {
    mutating func rename(_ renaming: Renaming)
    /// What the server chose and later calls name; called with an answer as it came.
    func teach(_ names: inout Names)
    /// Whether it may be sent: shrinking must not make what ends a server, or locks everybody out.
    var isPlayable: Bool { get }
}

extension Replayable {
    func teach(_ names: inout Names) {}
    var isPlayable: Bool { true }

    /// On one line, with the numbers as people read them.
    var readable: String {
        let lines = textFormatString().split(separator: "\n")
        return Names.readable(lines.map { $0.drop { $0 == " " } }.joined(separator: " "))
    }
}
