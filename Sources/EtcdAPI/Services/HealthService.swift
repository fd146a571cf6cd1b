import EtcdProto
import GRPC
import RegistryModel
import SwiftProtobuf

/// `grpc.health.v1.Health`: the server as a whole (service ""), and each service it has, serve until it shuts down. It
/// says nothing about the cluster: like etcd, a member that is cut off from the others takes calls.
enum HealthService {
    static let name = "grpc.health.v1.Health"

    static func isKnown(_ service: String) -> Bool {
        service.isEmpty || EtcdMethods.services.contains(service)
    }

    static func response(_ status: Grpc_Health_V1_HealthCheckResponse.ServingStatus) -> [UInt8] {
        var response = Grpc_Health_V1_HealthCheckResponse()
        response.status = status
        return response.encoded
    }

    /// The answer to `Check`.
    static func check(_ message: [UInt8]) -> Result<[UInt8], GRPCStatus> {
        do {
            let service = try Grpc_Health_V1_HealthCheckRequest(serializedBytes: message).service
            guard isKnown(service) else { return .failure(GRPCStatus(.notFound, "unknown service")) }
            return .success(response(.serving))
        } catch {
            return .failure(ErrorTable.status(refusing: error))
        }
    }
}

/// One `grpc.health.v1.Health/Watch` call: the present status, and each later one.
final class HealthWatch: ServerCallHandler, EndableStream {
    private let call: ServerCall
    private unowned let door: EtcdFrontDoor
    private let counters: MethodCounters
    private var service: String?

    init(call: ServerCall, door: EtcdFrontDoor, counters: MethodCounters) {
        self.call = call
        self.door = door
        self.counters = counters
    }

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        door.metrics.received(message, counters)
        guard service == nil else { return }
        do {
            let service = try Grpc_Health_V1_HealthCheckRequest(serializedBytes: message).service
            self.service = service
            // Unknown services may become known, by the protocol; they are told so, and wait.
            send(HealthService.isKnown(service) ? .serving : .serviceUnknown)
        } catch {
            end(ErrorTable.status(refusing: error))
        }
    }

    func halfClosed(_ call: ServerCall) {
        if service == nil { end(GRPCStatus(.internal, "the request is missing")) }
    }

    func shutdownStarted(_ call: ServerCall) {
        if let service, HealthService.isKnown(service) { send(.notServing) }
        end(ErrorTable.status(Rejection(.stopped)))
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        door.unbindFromLeader(self)
        counters.closed(call, end)
    }

    func end(_ status: GRPCStatus) {
        counters.finish(call, status)
    }

    private func send(_ status: Grpc_Health_V1_HealthCheckResponse.ServingStatus) {
        let message = HealthService.response(status)
        door.metrics.sent(message.count, counters)
        call.send(message)
    }
}
