import GRPC
import NIOCore
import NIOEmbedded

@testable import EtcdAPI
@testable import GRPC

/// Requests of every method as the bytes of their messages, through decoding, translation and the member, and the
/// answers back. The first byte chooses the method.
enum ProtobufDoor: Door {
    static let name = "protobuf"

    static func take(_ input: [UInt8]) {
        var script = Script(input)
        let desk = Desk()
        while !script.isOver, desk.callCount < 8 {
            let call = desk.open(script.pick(EtcdMethods.all))
            speak(&script, in: call, at: desk)
        }
        desk.close()
    }

    /// What a client does in one call. It stays open when the client goes on to the next one.
    private static func speak(_ script: inout Script, in call: Call, at desk: Desk) {
        while !script.isOver {
            switch script.byte() & 7 {
            case 0, 1: call.receive(script.chunk())
            case 2: call.halfClose()
            case 3: call.isHeldBack.toggle()
            case 4: desk.advance(milliseconds: script.pick([1, 100, 2_500, 12_000, 700_000]))
            case 5: return call.leave()
            case 6: return
            default: call.receive(script.rest())
            }
            desk.run()
        }
        call.halfClose()
        desk.run()
    }

    static func index(of name: String) -> Int {
        EtcdMethods.all.firstIndex { $0.name == name } ?? 0
    }

    static var seeds: [Seed] {
        let single = requests.map { request -> Seed in
            var writer = ScriptWriter()
            writer.call(request)
            return Seed(request.name, writer.bytes)
        }
        var login = ScriptWriter()
        for name in ["user-add-root", "role-add-root", "user-grant-root", "auth-enable", "put", "auth-status"] {
            guard let request = requests.first(where: { $0.name == name }) else { continue }
            login.call(request)
            login.byte(2)
            login.byte(6)
        }
        return single + [Seed("auth-on", login.bytes)]
    }

    static let words: [[UInt8]] = [
        [0x08, 0x01], [0x0A, 0x00], [0x0A, 0x01, 0x61], [0x12, 0x01, 0x00], [0x12, 0x00], [0x1A, 0x00], [0x22, 0x00],
        [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
        [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0x0B], [0x0C], [0x13], [0x14], [0x07], [0x38, 0x01], [0x28, 0x02],
    ]
}

extension ScriptWriter {
    fileprivate mutating func call(_ request: KnownRequest) {
        byte(request.method)
        for message in request.messages {
            byte(0)
            chunk(message)
        }
    }
}

/// Calls without a wire: what they answer is read back as their clients would.
private final class Desk {
    private let member = Member()
    private let loop = EmbeddedEventLoop()
    private let doors: EtcdFrontDoors
    /// Says only where calls come from.
    private let channel: EmbeddedChannel
    private let info: ConnectionInfo
    private var calls: [Call] = []

    var callCount: Int { calls.count }

    /// The one door, of the one loop.
    private var door: EtcdFrontDoor {
        guard let door = doors.services(on: loop).calls as? EtcdFrontDoor else { fatalError("no door") }
        return door
    }

    init() {
        var options = EtcdDoorOptions()
        options.requestBytesMax = 8 * 1024
        doors = EtcdFrontDoors(service: member, group: loop, options: options)
        doors.passwords.finish()
        channel = EmbeddedChannel(loop: loop)
        info = ConnectionInfo(channel: channel)
    }

    func open(_ method: EtcdMethods.Method) -> Call {
        let call = Call(method, loop: loop, info: info)
        calls.append(call)
        if let router = doors.services(on: loop).calls { call.begin(router) }
        run()
        return call
    }

    func run() {
        loop.run()
    }

    func advance(milliseconds: Int64) {
        member.advance(milliseconds: milliseconds)
        loop.advanceTime(by: .milliseconds(milliseconds))
    }

    /// All clients leave: nothing of them may stay.
    func close() {
        for call in calls { call.leave() }
        run()
        for call in calls { call.end() }
        run()
        promise(door.watchReceivers.count == 0, "a watch outlives its call")
        promise(member.watcherCount == 0, "a watcher outlives its call")
        door.detach()
        channel.close(promise: nil)
        run()
    }
}

/// One call, its client and its transport.
private final class Call: CallTransport {
    private static let routes: [String: GatewayRoute] = {
        var byPath: [String: GatewayRoute] = [:]
        for route in GatewayRoute.routes.values { byPath[route.method.path] = route }
        return byPath
    }()

    let headers = Metadata()
    private let method: EtcdMethods.Method
    private let loop: EmbeddedEventLoop
    private let info: ConnectionInfo
    private var call: ServerCall?
    private var isEnded = false
    private var isGone = false
    private var hasHalfClosed = false
    private var isPaused = false
    private var waiting: [[UInt8]] = []
    private var heldEnd = false
    /// The client does not read.
    var isHeldBack = false {
        didSet {
            guard oldValue, !isHeldBack else { return }
            bufferedBytes = 0
            call?.drained()
        }
    }
    private(set) var bufferedBytes = 0
    var drainMark = 64 * 1024

    init(_ method: EtcdMethods.Method, loop: EmbeddedEventLoop, info: ConnectionInfo) {
        self.method = method
        self.loop = loop
        self.info = info
    }

    func begin(_ router: any CallRouter) {
        let call = ServerCall(transport: self, path: method.path, connection: info, eventLoop: loop)
        self.call = call
        call.begin(router)
    }

    // MARK: The client

    func receive(_ message: [UInt8]) {
        guard acceptsOutput, !hasHalfClosed, waiting.count < 64 else { return }
        if isPaused { waiting.append(message) } else { call?.messageReceived(message) }
    }

    func halfClose() {
        guard acceptsOutput, !hasHalfClosed else { return }
        hasHalfClosed = true
        if isPaused { heldEnd = true } else { call?.inputEnded() }
    }

    func leave() {
        guard !isGone else { return }
        isGone = true
        guard !isEnded else { return }
        end(.cancelled)
    }

    func end() {
        end(isEnded ? .finished : .cancelled)
    }

    private func end(_ reason: ServerCallEnd) {
        guard let call else { return }
        self.call = nil
        loop.execute { call.closed(reason) }
    }

    // MARK: CallTransport

    var acceptsOutput: Bool { !isEnded && !isGone }
    var outputEnded: Bool { isEnded }

    func send(headers: Metadata) {}

    func send(message: [UInt8]) {
        guard acceptsOutput else { return }
        // Traps on an answer that its own type cannot read.
        if let route = Call.routes[method.path] { _ = route.response(message) }
        if isHeldBack { bufferedBytes += message.count }
    }

    func send(messageParts: [[UInt8]]) {
        send(message: Array(messageParts.joined()))
    }

    func finish(_ status: GRPCStatus, _ trailers: Metadata) {
        guard acceptsOutput else { return }
        isEnded = true
        end(.finished)
    }

    func pauseReading() {
        isPaused = true
    }

    func resumeReading() {
        isPaused = false
        while !isPaused, !waiting.isEmpty { call?.messageReceived(waiting.removeFirst()) }
        if !isPaused, heldEnd {
            heldEnd = false
            call?.inputEnded()
        }
    }

    func setDeadline(_ deadline: NIODeadline) {}

    func cancel() {
        leave()
    }
}
