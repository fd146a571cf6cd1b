package import GRPC
package import NIOCore
import NIOPosix
import Primitives
package import RegistryModel

/// The etcd front doors of a member: one for each event loop, so that no call is ever shared between threads.
package final class EtcdFrontDoors: Sendable {
    private let doors: [EtcdFrontDoor]
    /// By loop.
    private let byLoop: [ObjectIdentifier: EtcdFrontDoor]
    private let metricsSource: (any MetricsSource)?
    private let options: EtcdDoorOptions
    let passwords: PasswordLane
    private let memberID: UInt64

    /// Makes a door on every loop of `group` and attaches it to `service`.
    ///
    /// - Parameters:
    ///   - group: the one the listener serves connections with.
    ///   - metricsSource: the member's own samples for `/metrics`.
    package init(
        service: any RegistryService, group: any EventLoopGroup, options: EtcdDoorOptions = EtcdDoorOptions(),
        metricsSource: (any MetricsSource)? = nil
    ) {
        self.metricsSource = metricsSource
        self.options = options
        passwords = PasswordLane(cost: options.bcryptCost)
        memberID = service.memberID.number
        doors = group.makeIterator().map { EtcdFrontDoor(service: service, eventLoop: $0, options: options) }
        byLoop = Dictionary(uniqueKeysWithValues: doors.map { (ObjectIdentifier($0.eventLoop), $0) })
        for door in doors {
            door.attach(within: self)
        }
    }

    /// What `GRPCServer.bind` needs: the services of connections on a loop.
    ///
    /// - Parameter eventLoop: one of the group's.
    package func services(on eventLoop: any EventLoop) -> GRPCServices {
        let door = door(on: eventLoop)
        return GRPCServices(calls: door, http: door)
    }

    /// As `services`, for a listener that only tells how the member is: metrics, health and version.
    package func monitoring(on eventLoop: any EventLoop) -> GRPCServices {
        GRPCServices(calls: nil, http: MonitoringPages(door(on: eventLoop)))
    }

    private func door(on eventLoop: any EventLoop) -> EtcdFrontDoor {
        guard let door = byLoop[ObjectIdentifier(eventLoop)] else {
            preconditionFailure("a connection came on a loop that has no door")
        }
        return door
    }

    /// Takes all doors off the member. Call it when the listener has been shut down: later calls are refused.
    package func detach() async {
        for door in doors {
            try? await door.eventLoop.submit { door.detach() }.get()
        }
        passwords.finish()
    }

    /// Everything `/metrics` shows, counted over all doors.
    func metricsText(on eventLoop: any EventLoop) -> EventLoopFuture<String> {
        let snapshots = doors.map { door in
            door.eventLoop.submit { door.metrics.snapshot(watchStreams: door.watchReceivers.count) }
        }
        // Reading about the process may block.
        let process = NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { ProcessMetrics.render() }
        let member = metricsSource?.renderMetrics(on: eventLoop) ?? eventLoop.makeSucceededFuture("")
        let counted = EventLoopFuture.whenAllSucceed(snapshots, on: eventLoop).and(process)
        return counted.and(member).map { [self] parts, member in
            let (snapshots, process) = parts
            var total = snapshots[0]
            for snapshot in snapshots.dropFirst() {
                total.add(snapshot)
            }
            return MetricsText.render(total, identity: options.identity, memberID: memberID)
                + member + process
        }
    }
}
