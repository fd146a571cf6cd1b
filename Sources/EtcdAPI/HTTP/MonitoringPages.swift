import GRPC

/// What a listener for monitoring serves of a door: how the member is, and no way to what it holds. Whoever reaches
/// such a listener may ask, under whatever name: neither hosts nor origins are looked at.
final class MonitoringPages: HTTPRouter {
    private let door: EtcdFrontDoor

    init(_ door: EtcdFrontDoor) {
        self.door = door
    }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        door.handlePage(PlainExchange(request: request, responder: responder, headers: Metadata()))
    }
}
