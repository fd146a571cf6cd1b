import EtcdProto
import Foundation
import Primitives
import RegistryModel
import SwiftProtobuf

/// Random values that favour the ends of their ranges.
struct RandomValues {
    var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func bool() -> Bool {
        Bool.random(using: &generator)
    }

    mutating func int64() -> Int64 {
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: 0
        case 1: Int64.random(in: -3...3, using: &generator)
        case 2: [.min, .max, -1, 127, 128, 16_383, 16_384].randomElement(using: &generator) ?? 0
        case 3: Int64.random(in: 0...100_000, using: &generator)
        default: Int64.random(in: .min ... .max, using: &generator)
        }
    }

    mutating func bytes(max: Int = 40) -> [UInt8] {
        let length = Int.random(in: 0..<8, using: &generator) == 0 ? 300 : Int.random(in: 0...max, using: &generator)
        return bool() && length < 3 ? [] : (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    mutating func keyValue() -> KeyValue {
        KeyValue(
            key: Key(bytes()), value: bytes(), createRevision: Revision(int64()), modRevision: Revision(int64()),
            version: int64(), lease: LeaseID(int64()))
    }

    mutating func event() -> KVEvent {
        KVEvent(
            kind: bool() ? .put : .delete, kv: keyValue(), previous: bool() ? keyValue() : nil,
            sub: Int32.random(in: 0...3, using: &generator))
    }

    /// Fields no message has, of every wire type, nested groups included.
    mutating func unknownFields() -> [UInt8] {
        var writer = ByteWriter()
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            let number = UInt64.random(in: 100...200, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0:
                writer.varint(number << 3)
                writer.varint(UInt64.random(in: 0 ... .max, using: &generator))
            case 1:
                writer.varint(number << 3 | 1)
                writer.fixed64(UInt64.random(in: 0 ... .max, using: &generator))
            case 2:
                writer.varint(number << 3 | 2)
                writer.prefixed(bytes())
            case 3:
                writer.varint(number << 3 | 3)
                writer.raw([0x08, 0x07, 0x13, 0x14])
                writer.varint(number << 3 | 4)
            default:
                writer.varint(number << 3 | 5)
                writer.fixed32(UInt32.random(in: 0 ... .max, using: &generator))
            }
        }
        return writer.bytes
    }

    mutating func header() -> Etcdserverpb_ResponseHeader {
        var header = Etcdserverpb_ResponseHeader()
        header.clusterID = UInt64(bitPattern: int64())
        header.memberID = UInt64(bitPattern: int64())
        header.revision = int64()
        header.raftTerm = UInt64(bitPattern: int64())
        return header
    }

    mutating func rangeRequest() -> Etcdserverpb_RangeRequest {
        var message = Etcdserverpb_RangeRequest()
        message.key = Data(bytes())
        message.rangeEnd = Data(bytes(max: 2))
        message.limit = int64()
        message.revision = int64()
        message.sortOrder = .init(rawValue: Int.random(in: -1...5, using: &generator)) ?? .none
        message.sortTarget = .init(rawValue: Int.random(in: -1...7, using: &generator)) ?? .key
        message.serializable = bool()
        message.keysOnly = bool()
        message.countOnly = bool()
        message.minModRevision = int64()
        message.maxModRevision = int64()
        message.minCreateRevision = int64()
        message.maxCreateRevision = int64()
        return message
    }

    mutating func putRequest() -> Etcdserverpb_PutRequest {
        var message = Etcdserverpb_PutRequest()
        message.key = Data(bytes())
        message.value = Data(bytes())
        message.lease = int64()
        message.prevKv = bool()
        message.ignoreValue = bool()
        message.ignoreLease = bool()
        return message
    }
}

extension SwiftProtobuf.Message {
    func bytes() throws -> [UInt8] {
        try serializedBytes()
    }
}
