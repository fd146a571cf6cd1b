import Foundation
import GRPC
import Primitives

/// What no client library sends: methods that do not exist, and bytes that are not the message they should be.
struct OddFamily: CallFamily {
    let weight: UInt64 = 1

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        if random.oneIn(3) {
            let path = random.one(of: [
                "/etcdserverpb.KV/Nothing", "/etcdserverpb.KV/RangeStream", "/nothing.Nowhere/Range",
                "/etcdserverpb.Watch/watch", "/etcdserverpb.KV/", "/KV/Range",
            ])
            return [RawCall(path: path, messages: [[]])]
        }
        let path = random.one(of: ["KV/Range", "KV/Put", "KV/Txn", "KV/Compact", "Lease/LeaseGrant"])
        let bytes: [UInt8] = random.one(of: [
            [0xFF], [0x0A, 0x05, 0x61], [0x0A], [0x08], [0x0F], [0x00, 0x01], [0x0C],
        ])
        return [RawCall(path: "/etcdserverpb.\(path)", messages: [bytes])]
    }
}

/// A call of any method with any messages, half-closed at once.
struct RawCall: Call {
    var path: String
    var messages: [[UInt8]]

    var kind: String { path }
    var description: String { "\(path) \(messages)" }

    func play(on session: Session) async throws -> Answer {
        let stream = session.open(path)
        for message in messages { stream.send(message) }
        stream.halfClose()
        guard let record = try await stream.ended(), let end = record.end else { return Answer(status: "no end") }
        var answer = Answer(end)
        // Normalisation "malformed message": what is wrong is told in the words of the library that reads it.
        if let cut = answer.status.range(of: "unmarshalling request: ") {
            answer.status.removeSubrange(cut.upperBound...)
        }
        return answer
    }
}
