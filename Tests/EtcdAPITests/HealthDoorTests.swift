import EtcdProto
import Foundation
import GRPC
import NIOCore
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

private typealias HealthStream = TestStream<Grpc_Health_V1_HealthCheckRequest, Grpc_Health_V1_HealthCheckResponse>
private typealias ReflectionCall = TestStream<
    Grpc_Reflection_V1_ServerReflectionRequest, Grpc_Reflection_V1_ServerReflectionResponse
>

/// gRPC's own services: health checks and reflection.
@Suite(.timeLimit(.minutes(1))) struct HealthDoorTests {
    private static let health = "/grpc.health.v1.Health/"
    private static let services = [
        "etcdserverpb.Auth", "etcdserverpb.Cluster", "etcdserverpb.KV", "etcdserverpb.Lease",
        "etcdserverpb.Maintenance", "etcdserverpb.Watch", "ganglion.v1.Registry", "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "v3electionpb.Election",
        "v3lockpb.Lock",
    ]

    @Test("The server and each of its services serve, also on a learner without a leader; others are not known")
    func check() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.deliver([.learner(true), .leaderKnown(false)])
            for service in [""] + Self.services {
                let answer = try await door.call(
                    Self.health + "Check", Grpc_Health_V1_HealthCheckRequest.with { $0.service = service },
                    as: Grpc_Health_V1_HealthCheckResponse.self)
                #expect(answer.status == .serving, "\(service)")
            }
            #expect(
                try await door.failure(
                    Self.health + "Check", Grpc_Health_V1_HealthCheckRequest.with { $0.service = "other" })
                    == GRPCStatus(.notFound, "unknown service"))
        }
    }

    @Test("A watch shows the status at once, goes on after a half-close, and hears of the shutdown")
    func watch() async throws {
        try await LoopbackDoor.with { door async throws in
            func open(_ service: String) throws -> HealthStream {
                let stream: HealthStream = door.stream(
                    Self.health + "Watch", Grpc_Health_V1_HealthCheckRequest.self,
                    Grpc_Health_V1_HealthCheckResponse.self)
                try stream.send(.with { $0.service = service })
                stream.halfClose()
                return stream
            }
            let known = try open("etcdserverpb.KV")
            let unknown = try open("other")
            #expect(try await known.next().status == .serving)
            #expect(try await unknown.next().status == .serviceUnknown)
            await door.server.shutdown(grace: .milliseconds(200))
            #expect(try await known.next().status == .notServing)
            #expect(await known.end()?.code == .unavailable)
            #expect(await unknown.end()?.code == .unavailable)
        }
    }

    @Test("Reflection lists all services, under both of its names", arguments: ["v1", "v1alpha"])
    func services(version: String) async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = reflect(door, version)
            try stream.send(
                .with {
                    $0.host = "here"
                    $0.listServices = ""
                })
            let answer = try await stream.next()
            #expect(answer.listServicesResponse.service.map(\.name) == Self.services)
            #expect(answer.validHost == "here" && answer.originalRequest.host == "here")
            stream.halfClose()
            #expect(await stream.end() == .ok)
        }
    }

    private func reflect(_ door: LoopbackDoor, _ version: String = "v1") -> ReflectionCall {
        door.stream(
            "/grpc.reflection.\(version).ServerReflection/ServerReflectionInfo",
            Grpc_Reflection_V1_ServerReflectionRequest.self, Grpc_Reflection_V1_ServerReflectionResponse.self)
    }

    @Test("A file comes with what it imports and the stream has not had; the file asked for always comes")
    func files() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = reflect(door)
            func names(_ request: Grpc_Reflection_V1_ServerReflectionRequest) async throws -> [String] {
                try stream.send(request)
                return try await stream.next().fileDescriptorResponse.fileDescriptorProto.map {
                    try Google_Protobuf_FileDescriptorProto(serializedBytes: $0).name
                }
            }
            #expect(try await names(.with { $0.fileByFilename = "mvcc.proto" }) == ["mvcc.proto"])
            #expect(
                try await names(.with { $0.fileContainingSymbol = "v3electionpb.Election" })
                    == ["election.proto", "header.proto"])
            #expect(
                try await names(.with { $0.fileContainingSymbol = "etcdserverpb.KV.Txn" }) == ["kv.proto"])
            #expect(try await names(.with { $0.fileByFilename = "kv.proto" }) == ["kv.proto"])
        }
    }

    @Test("Every symbol that every file declares leads to that file, and all methods are described")
    func symbols() throws {
        var methods: Set<String> = []
        for file in ProtoFile.all {
            let bytes = try #require(Data(base64Encoded: file.base64.description))
            let descriptor = try Google_Protobuf_FileDescriptorProto(serializedBytes: bytes)
            #expect(descriptor.name == file.name && descriptor.dependency == file.imports)
            for service in descriptor.service {
                for method in service.method {
                    methods.insert("/\(descriptor.package).\(service.name)/\(method.name)")
                }
            }
            for message in descriptor.messageType {
                #expect(file.symbols.contains("\(descriptor.package).\(message.name)"))
            }
            for symbol in file.symbols {
                var sent: Set<String> = []
                let answer = ReflectionService.answer(.with { $0.fileContainingSymbol = symbol }, sent: &sent)
                #expect(answer.fileDescriptorResponse.fileDescriptorProto.first == bytes, "\(symbol)")
                #expect(sent.isSuperset(of: file.imports))
            }
        }
        #expect(methods.isSubset(of: EtcdMethods.all.map(\.path)))
        #expect(Set(EtcdMethods.all.map(\.path)).subtracting(methods).allSatisfy { $0.hasSuffix("/RangeStream") })
    }

    @Test("What is not there is an answer, not the end of the stream")
    func missing() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = reflect(door)
            let requests: [Grpc_Reflection_V1_ServerReflectionRequest] = [
                .with { $0.fileByFilename = "other.proto" }, .with { $0.fileContainingSymbol = "etcdserverpb.Other" },
                .with { $0.fileContainingExtension.containingType = "etcdserverpb.KV" },
                .with { $0.allExtensionNumbersOfType = "nobody.Knows" },
            ]
            for request in requests {
                try stream.send(request)
                #expect(try await stream.next().errorResponse.errorCode == 5)
            }
            try stream.send(.init())
            #expect(try await stream.next().errorResponse.errorCode == 3)
            try stream.send(.with { $0.allExtensionNumbersOfType = "etcdserverpb.PutRequest" })
            #expect(try await stream.next().allExtensionNumbersResponse.baseTypeName == "etcdserverpb.PutRequest")
        }
    }
}
