import GRPC
import Primitives
import RegistryModel
import Testing

@testable import EtcdAPI

/// Who may ask over plain HTTP, and what probes are told.
@Suite struct AdmissionTests {
    @Test("A host that is not on the list is refused, whatever it asks; its port does not matter")
    func hosts() async throws {
        var options = EtcdDoorOptions()
        options.hostWhitelist = ["127.0.0.1", "registry.example"]
        try await LoopbackDoor.with(options: options) { door async throws in
            #expect(try await door.http.request("GET", "/version").status == 200)
            for (method, path) in [
                ("GET", "/version"), ("POST", "/v3/kv/range"), ("OPTIONS", "/"), ("POST", "/v3/watch"),
            ] {
                let refused = try await door.http.request(method, path, host: "localhost:\(door.port)")
                #expect(refused.status == 421 && refused.body.contains("--host-whitelist \"localhost\""), "\(refused)")
            }
            #expect(try await door.http.request("GET", "/version", host: "registry.example:2379").status == 200)
        }
        #expect(Admission.name(of: "[::1]:2379") == "::1" && Admission.name(of: "::1") == "::1")
        #expect(Admission.name(of: "a:1") == "a" && Admission.name(of: "a") == "a")
        let plain = HTTPRequest(method: "GET", target: "/", host: "other", headers: Metadata(), body: [])
        #expect(Admission(options).refusal(of: plain, isSecure: true) == nil)
    }

    @Test("Only the scripts of listed origins may read answers")
    func origins() async throws {
        var options = EtcdDoorOptions()
        options.corsOrigins = ["https://one.example", "https://two.example"]
        try await LoopbackDoor.with(options: options) { door async throws in
            func allowed(_ headers: [String: String]) async throws -> String? {
                let answer = try await door.http.request("GET", "/version", headers: headers)
                #expect(answer.status == 200)
                #expect(
                    (answer.headers["access-control-allow-methods"] == nil)
                        == (answer.headers["access-control-allow-origin"] == nil))
                return answer.headers["access-control-allow-origin"]
            }
            #expect(try await allowed(["Origin": "https://two.example"]) == "https://two.example")
            #expect(try await allowed(["Origin": "https://three.example"]) == nil)
            #expect(try await allowed([:]) == nil)
        }
    }

    @Test("Probes run their checks, all or one, and say which failed")
    func probes() async throws {
        try await LoopbackDoor.with { door async throws in
            for path in ["/livez", "/readyz", "/livez/serializable_read", "/readyz/linearizable_read"] {
                let answer = try await door.http.request("GET", path)
                #expect(answer.status == 200 && answer.body == "ok\n", "\(path)")
                #expect(answer.headers["content-type"] == "text/plain; charset=utf-8")
            }
            let verbose = try await door.http.request("GET", "/readyz?verbose&exclude=non_learner&exclude=unknown")
            #expect(
                verbose.body
                    == "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n")

            door.registry.script { request in
                switch request {
                case .readBarrier: return .failure(Rejection(.timedOut))
                case .status:
                    var status = MemoryStore.status
                    status.isLearner = true
                    status.alarms = [Alarm(member: MemberID(1), kind: .corrupt)]
                    return .success(.status(status))
                default: return nil
                }
            }
            let failed = try await door.http.request("GET", "/readyz")
            #expect(failed.status == 503)
            #expect(
                failed.body == "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n"
                    + "[-]linearizable_read failed: etcdserver: request timed out\n"
                    + "[-]non_learner failed: not supported for learner\n\n")
            #expect(try await door.http.request("GET", "/livez").status == 200)
            #expect(try await door.http.request("GET", "/readyz/non_learner?exclude=non_learner").status == 503)
            let rest = "/readyz?exclude=data_corruption&exclude=linearizable_read&exclude=non_learner"
            #expect(try await door.http.request("GET", rest).status == 200)
        }
    }
}
