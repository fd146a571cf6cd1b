import EtcdProto
import GRPC
import RegistryModel
import SwiftProtobuf

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `grpc.reflection.v1.ServerReflection` and its older twin `v1alpha`, whose messages are the same: which services
/// there are, and the .proto files that describe them.
enum ReflectionService {
    static let names = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]

    private static let byName = Dictionary(uniqueKeysWithValues: ProtoFile.all.map { ($0.name, $0) })
    private static let bySymbol = Dictionary(
        uniqueKeysWithValues: ProtoFile.all.flatMap { file in file.symbols.map { ($0, file) } })

    /// - Parameter sent: names of files the client has had on this stream; they are not sent again, but for the one
    ///   asked for.
    static func answer(
        _ request: Grpc_Reflection_V1_ServerReflectionRequest, sent: inout Set<String>
    ) -> Grpc_Reflection_V1_ServerReflectionResponse {
        var response = Grpc_Reflection_V1_ServerReflectionResponse()
        response.validHost = request.host
        response.originalRequest = request
        switch request.messageRequest {
        case .listServices:
            response.listServicesResponse.service = EtcdMethods.services.sorted().map { name in
                .with { $0.name = name }
            }
        case .fileByFilename(let name):
            response.messageResponse = files(byName[name], name, &sent)
        case .fileContainingSymbol(let symbol):
            response.messageResponse = files(bySymbol[symbol], symbol, &sent)
        case .fileContainingExtension(let wanted):
            response.messageResponse = missing(wanted.containingType)
        case .allExtensionNumbersOfType(let type):
            // proto3 has none; a type that exists is told so.
            guard bySymbol[type] != nil else {
                response.messageResponse = missing(type)
                break
            }
            response.allExtensionNumbersResponse.baseTypeName = type
        case nil:
            response.messageResponse = error(.invalidArgument, "no request in the message")
        }
        return response
    }

    private typealias Answer = Grpc_Reflection_V1_ServerReflectionResponse.OneOf_MessageResponse

    private static func files(_ file: ProtoFile?, _ name: String, _ sent: inout Set<String>) -> Answer {
        guard let file else { return missing(name) }
        var found: [ProtoFile] = []
        sent.remove(file.name)
        collect(file, &found, &sent)
        return .fileDescriptorResponse(
            .with { $0.fileDescriptorProto = found.map { descriptor(of: $0) } })
    }

    /// The file, and behind it what it imports.
    private static func collect(_ file: ProtoFile, _ found: inout [ProtoFile], _ sent: inout Set<String>) {
        guard sent.insert(file.name).inserted else { return }
        found.append(file)
        for name in file.imports {
            if let imported = byName[name] { collect(imported, &found, &sent) }
        }
    }

    private static func descriptor(of file: ProtoFile) -> Data {
        guard let bytes = Data(base64Encoded: file.base64.description) else {
            preconditionFailure("the descriptor of \(file.name) is not base64")
        }
        return bytes
    }

    private static func missing(_ name: String) -> Answer {
        error(.notFound, "not found: \(name)")
    }

    private static func error(_ code: GRPCStatus.Code, _ text: String) -> Answer {
        .errorResponse(
            .with {
                $0.errorCode = Int32(code.rawValue)
                $0.errorMessage = text
            })
    }
}

/// One `ServerReflectionInfo` call: an answer for each request, until the client is done.
final class ReflectionStream: ServerCallHandler, EndableStream {
    private let call: ServerCall
    private unowned let door: EtcdFrontDoor
    private let counters: MethodCounters
    private var sent: Set<String> = []

    init(call: ServerCall, door: EtcdFrontDoor, counters: MethodCounters) {
        self.call = call
        self.door = door
        self.counters = counters
    }

    /// Unsent bytes past which requests wait.
    private static let unsentBytesMax = 256 * 1024

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        door.metrics.received(message, counters)
        do {
            let request = try Grpc_Reflection_V1_ServerReflectionRequest(serializedBytes: message)
            let answer = ReflectionService.answer(request, sent: &sent).encoded
            door.metrics.sent(answer.count, counters)
            call.send(answer)
            if call.bufferedBytes > Self.unsentBytesMax { call.pauseReading() }
        } catch {
            end(ErrorTable.status(refusing: error))
        }
    }

    func halfClosed(_ call: ServerCall) {
        end(.ok)
    }

    func drained(_ call: ServerCall) {
        call.resumeReading()
    }

    func shutdownStarted(_ call: ServerCall) {
        end(ErrorTable.status(Rejection(.stopped)))
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        door.unbindFromLeader(self)
        counters.closed(call, end)
    }

    func end(_ status: GRPCStatus) {
        counters.finish(call, status)
    }
}
