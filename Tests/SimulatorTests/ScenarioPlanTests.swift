import Foundation
import Primitives
import Testing

@testable import Simulator

@Suite("Failure plans of a deployment")
struct ScenarioPlanTests {
    private static func plan(_ steps: String) throws -> FailurePlan {
        try FailurePlan.parse(
            """
            zones A, B, C
            members 1 per zone
            hosts 4 per zone
            service web 30 instances ttl 3s
            service cache 9 instances
            run 20s
            \(steps)
            """, path: "plan")
    }

    @Test("With nothing going wrong nothing is late, lost or stale")
    func peace() throws {
        let report = PlanRunner.run(try ScenarioPlanTests.plan(""))
        #expect(report.violation == nil)
        #expect(report.registered == 39)
        #expect(report.writeGap < .milliseconds(200), "\(report.text)")
        #expect(report.leaderChanges == 0 && report.endedAlive == 0 && report.lostEndpoints == 0)
        #expect(report.staleness.count == 0)
    }

    @Test("A lost zone: writes return within an election, its endpoints leave every list within TTL and slack")
    func lostZone() throws {
        let report = PlanRunner.run(try ScenarioPlanTests.plan("at 8s lose zone B"))
        #expect(report.violation == nil)
        #expect(report.registered == 26)
        #expect(report.writeGap < .seconds(3), "\(report.text)")
        #expect(report.endedAlive == 0 && report.lostEndpoints == 0)
        // Ten web and three cache instances, seen by the eight hosts that are left.
        #expect(report.staleness.count == 13 * 8, "\(report.text)")
        #expect(report.staleness.worst > .seconds(2) && report.staleness.worst < .seconds(9), "\(report.text)")
    }

    @Test("A deployment is seen by every host within milliseconds of its commits")
    func deployment() throws {
        let report = PlanRunner.run(try ScenarioPlanTests.plan("at 5s deploy 20 web over 8s"))
        #expect(report.violation == nil)
        #expect(report.registered == 39)
        #expect(report.instances == 59)
        // Twenty registrations and twenty ends at twelve hosts each.
        #expect(report.propagation.count >= 40 * 12, "\(report.text)")
        #expect(report.propagation.slowHundredth < .milliseconds(200), "\(report.text)")
    }

    @Test("A zone that is cut off loses its leases, and gets them back")
    func cutZone() throws {
        let report = PlanRunner.run(try ScenarioPlanTests.plan("at 6s cut zone C for 8s"))
        #expect(report.violation == nil)
        #expect(report.endedAlive == 13, "\(report.text)")
        #expect(report.registered == 39, "\(report.text)")
        #expect(report.endedEarly == 0)
    }

    @Test("A dark registry takes no endpoint from anybody")
    func darkness() throws {
        let report = PlanRunner.run(try ScenarioPlanTests.plan("at 6s registry dark for 8s"))
        #expect(report.violation == nil)
        #expect(report.writeGap > .seconds(8))
        #expect(report.endedAlive == 0 && report.lostEndpoints == 0, "\(report.text)")
        #expect(report.registered == 39)
    }

    @Test("The same plan gives the same report")
    func determinism() throws {
        let plan = try ScenarioPlanTests.plan("at 5s kill 3 web\nat 6s kill leader")
        #expect(PlanRunner.run(plan).text == PlanRunner.run(plan).text)
    }

    @Test("The plans of the documentation can be read and hold")
    func examples() throws {
        let directory = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../docs/plans").standardizedFileURL
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter {
            $0.hasSuffix(".plan")
        }
        #expect(names.count >= 4)
        for name in names.sorted() {
            let text = try String(contentsOf: directory.appending(path: name), encoding: .utf8)
            let report = PlanRunner.run(try FailurePlan.parse(text, path: name))
            #expect(report.violation == nil, "\(name)\n\(report.text)")
        }
    }

    @Test(
        "What cannot be read is refused with file, line and what was expected",
        arguments: [
            ("run 5s", "p: expected a line such as 'service web 60 instances ttl 5s'"),
            ("service web many instances", "p:1: expected a number of instances, found 'many'"),
            ("service web 5 instances ttl 1ms", "p:1: expected a TTL of 500ms or more"),
            ("service web 5 instances\nservice web 6 instances", "p:2: service web is described twice"),
            ("zones A A", "p:1: zone A is named twice"),
            ("zones A B\nmembers C 1", "p:2: expected one of the zones A, B, found 'C'"),
            (
                "service web 5 instances\nmembers 12 per zone",
                "p: expected 1 to 9 members in all zones together, found 12"
            ),
            ("at 3s lose zone Z", "p:1: expected one of the zones A, found 'Z'"),
            ("at 3s deploy 5 web", "p:1: expected a 'service' line before this one"),
            ("service web 5 instances\nat 3s deploy 5 api", "p:2: expected one of the services web, found 'api'"),
            ("at 3s panic", "p:1: expected 'lose zone', "),
            ("heartbeat 1s\nelection 500ms", "p:2: expected an election timeout above the heartbeat"),
            ("hello", "p:1: expected 'seed', "),
        ])
    func errors(text: String, message: String) {
        let error = #expect(throws: ScenarioError.self) { try FailurePlan.parse(text, path: "p") }
        #expect(error?.description.hasPrefix(message) ?? false, "\(error?.description ?? "no error")")
    }
}
