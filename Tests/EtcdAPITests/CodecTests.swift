import EtcdProto
import Foundation
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// Every hand-written codec against the generated code.
@Suite struct CodecTests {
    // MARK: Requests

    @Test("A put request reads as the generated code reads it, unknown fields included", arguments: 0..<300)
    func putRequest(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        let message = random.putRequest()
        let bytes = random.unknownFields() + (try message.bytes()) + random.unknownFields()
        let request = try PutRequest(protobuf: bytes)
        #expect(request.key.bytes == Array(message.key))
        #expect(request.value == Array(message.value))
        #expect(request.lease.number == message.lease)
        #expect(request.wantsPrevious == message.prevKv)
        #expect(request.ignoreValue == message.ignoreValue)
        #expect(request.ignoreLease == message.ignoreLease)
    }

    @Test("A range request reads as the generated code reads it, unknown fields included", arguments: 0..<300)
    func rangeRequest(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        let message = random.rangeRequest()
        let bytes = random.unknownFields() + (try message.bytes()) + random.unknownFields()
        let fields = try RangeRequestFields(protobuf: bytes)
        #expect(fields == RangeRequestFields(message))
    }

    @Test("A keep-alive request reads as the generated code reads it, unknown fields included", arguments: 0..<100)
    func keepAliveRequest(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        var message = Etcdserverpb_LeaseKeepAliveRequest()
        message.id = random.int64()
        let bytes = random.unknownFields() + (try message.bytes()) + random.unknownFields()
        #expect(try LeaseCodec.keepAliveRequest(bytes) == LeaseID(message.id))
    }

    @Test("The last of a repeated field counts, and a field of the wrong wire type is passed over")
    func repeatedAndMistypedFields() throws {
        // key "a", lease as bytes, key "b", value as varint, lease 7
        let bytes: [UInt8] = [0x0A, 1, 0x61, 0x1A, 1, 0x00, 0x0A, 1, 0x62, 0x10, 5, 0x18, 7]
        let message = try Etcdserverpb_PutRequest(serializedBytes: bytes)
        let request = try PutRequest(protobuf: bytes)
        #expect(request.key == Key("b"))
        #expect(Array(message.key) == request.key.bytes)
        #expect(request.value.isEmpty && message.value.isEmpty)
        #expect(request.lease == LeaseID(7) && message.lease == 7)
    }

    @Test("A request cut at any byte is refused exactly when the generated code refuses it", arguments: 0..<40)
    func truncation(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        let put = try random.putRequest().bytes() + random.unknownFields()
        for length in 0...put.count {
            expectSamePut(Array(put.prefix(length)))
        }
        let range = try random.rangeRequest().bytes() + random.unknownFields()
        for length in 0...range.count {
            expectSameRange(Array(range.prefix(length)))
        }
    }

    @Test("Random and damaged bytes never trap, and are refused exactly when the generated code refuses them")
    func randomBytes() throws {
        var random = RandomValues(seed: 4711)
        var refused = 0
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? random.bytes(max: 24) : try random.putRequest().bytes()
            for _ in 0..<Int.random(in: 0...2, using: &random.generator) where !bytes.isEmpty {
                let position = Int.random(in: 0..<bytes.count, using: &random.generator)
                bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random.generator)
            }
            if (try? PutRequest(protobuf: bytes)) == nil { refused += 1 }
            expectSamePut(bytes)
            expectSameRange(bytes)
            let keepAlive = try? LeaseCodec.keepAliveRequest(bytes)
            let generated = try? Etcdserverpb_LeaseKeepAliveRequest(serializedBytes: bytes)
            #expect(keepAlive?.number == generated?.id)
        }
        #expect(refused > 1_000 && refused < 19_000)
    }

    @Test("Groups nested beyond the bound are refused, not recursed into")
    func deepGroups() {
        let bytes = [UInt8](repeating: 0x7B, count: 100_000)
        #expect(throws: WireFailure.self) { try PutRequest(protobuf: bytes) }
    }

    private func expectSamePut(_ bytes: [UInt8]) {
        let own = try? PutRequest(protobuf: bytes)
        let generated = try? Etcdserverpb_PutRequest(serializedBytes: bytes)
        #expect(own?.key.bytes == generated.map { Array($0.key) }, "\(bytes)")
        #expect(own?.value == generated.map { Array($0.value) })
        #expect(own?.lease.number == generated?.lease)
        #expect(own?.wantsPrevious == generated?.prevKv)
    }

    private func expectSameRange(_ bytes: [UInt8]) {
        let own = try? RangeRequestFields(protobuf: bytes)
        let generated = try? Etcdserverpb_RangeRequest(serializedBytes: bytes)
        #expect(own == generated.map(RangeRequestFields.init), "\(bytes)")
    }

    // MARK: Responses

    @Test("A put response is byte for byte what the generated code writes", arguments: 0..<200)
    func putResponse(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        var message = Etcdserverpb_PutResponse()
        message.header = random.header()
        let previous = random.bool() ? random.keyValue() : nil
        if let previous { message.prevKv = Mvccpb_KeyValue(previous) }
        let bytes = KVResponseCodec.put(header: HeaderFields(message.header), previous: previous)
        #expect(bytes == (try message.bytes()))
    }

    @Test("A range response is byte for byte what the generated code writes", arguments: 0..<200)
    func rangeResponse(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        let result = RangeResult(
            kvs: (0..<Int(seed % 5)).map { _ in random.keyValue() }, more: random.bool(), count: random.int64())
        var message = Translation.rangeResponse(result)
        message.header = random.header()
        let bytes = KVResponseCodec.range(header: HeaderFields(message.header), result: result)
        #expect(bytes == (try message.bytes()))
    }

    @Test("A keep-alive response is byte for byte what the generated code writes", arguments: 0..<100)
    func keepAliveResponse(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        var message = Etcdserverpb_LeaseKeepAliveResponse()
        message.header = random.header()
        message.id = random.int64()
        message.ttl = random.int64()
        let bytes = LeaseCodec.keepAliveResponse(
            header: HeaderFields(message.header), lease: LeaseID(message.id), ttlSeconds: message.ttl)
        #expect(bytes == (try message.bytes()))
    }

    @Test("A watch response is byte for byte what the generated code writes", arguments: 0..<300)
    func watchResponse(seed: UInt64) throws {
        var random = RandomValues(seed: seed)
        var message = Etcdserverpb_WatchResponse()
        message.header = random.header()
        message.watchID = random.int64()
        message.created = random.bool()
        message.canceled = random.bool()
        message.compactRevision = random.int64()
        message.cancelReason = ["", "etcdserver: mvcc: watcher range is empty", "ü"].randomElement() ?? ""
        message.fragment = random.bool()
        let events = (0..<Int(seed % 4)).map { _ in random.event() }
        let withPrevious = random.bool()
        message.events = events.map { Mvccpb_Event($0, withPrevious: withPrevious) }

        var head = WatchResponseHead(header: HeaderFields(message.header), watchID: message.watchID)
        head.created = message.created
        head.canceled = message.canceled
        head.compactRevision = message.compactRevision
        head.cancelReason = message.cancelReason
        head.fragment = message.fragment
        let encoded = WatchEventCodec.eventFields(events, withPrevious: withPrevious)
        let expected = try message.bytes()
        #expect(head.encoded + encoded == expected)
        #expect(head.encoded(with: encoded) == expected)
    }

    @Test("The size of a varint is counted right at every boundary")
    func varintSizes() {
        for shift in 0..<64 {
            for value in [UInt64(1) << UInt64(shift), (UInt64(1) << UInt64(shift)) &- 1] {
                var writer = ByteWriter()
                writer.varint(value)
                #expect(ProtoSize.varint(value) == writer.bytes.count, "\(value)")
            }
        }
        #expect(ProtoSize.varint(.max) == 10)
    }
}

extension RangeRequestFields {
    init(_ message: Etcdserverpb_RangeRequest) {
        self.init()
        request.range = KeyRange(key: Array(message.key), rangeEnd: Array(message.rangeEnd))
        request.limit = message.limit
        request.revision = Revision(message.revision)
        sortOrder = Int32(message.sortOrder.rawValue)
        sortTarget = Int32(message.sortTarget.rawValue)
        request.serializable = message.serializable
        request.keysOnly = message.keysOnly
        request.countOnly = message.countOnly
        request.minModRevision = Revision(message.minModRevision)
        request.maxModRevision = Revision(message.maxModRevision)
        request.minCreateRevision = Revision(message.minCreateRevision)
        request.maxCreateRevision = Revision(message.maxCreateRevision)
    }
}

extension HeaderFields {
    init(_ header: Etcdserverpb_ResponseHeader) {
        self.init(
            clusterID: header.clusterID, memberID: header.memberID, revision: header.revision, term: header.raftTerm)
    }
}

extension Mvccpb_Event {
    init(_ event: KVEvent, withPrevious: Bool) {
        self.init()
        type = event.kind == .put ? .put : .delete
        kv = Mvccpb_KeyValue(event.kv)
        if withPrevious, let previous = event.previous { prevKv = Mvccpb_KeyValue(previous) }
    }
}
