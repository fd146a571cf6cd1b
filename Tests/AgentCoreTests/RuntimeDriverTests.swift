import Testing

@testable import AgentCore

@Suite("Runs over the runtime socket")
struct RuntimeDriverTests {
    private func backend(_ servers: [Int]) -> DesiredBackend {
        DesiredBackend(
            name: "b",
            servers: servers.map { number in
                DesiredServer(
                    name: "s\(number)", host: "10.0.0.1", port: "\(number)", id: number, writesID: true, cookie: nil,
                    options: [], weight: nil, isDraining: false, hasLiteralAddress: true)
            })
    }

    private func running() -> FakeHAProxy {
        var haproxy = FakeHAProxy()
        haproxy.load("global\n\tsetenv SYNAPSE_CONFIGURATION x.1\nbackend b\n\tserver s1 10.0.0.1:1 id 1\n")
        return haproxy
    }

    @Test("Changes that arrive with every reading are made one after the other; none is given up to a reload")
    func changesDuringARun() throws {
        var haproxy = running()
        var driver = RuntimeDriver()
        driver.want(backend([1, 2]))
        var commands = driver.start()
        var newest = 2
        for _ in 0..<40 {
            let replies = commands.compactMap { haproxy.reply(to: $0) }
            // Another server before every answer, and the oldest but one goes.
            if newest < 12 {
                newest += 1
                driver.want(backend([1, newest - 1, newest]))
            }
            switch try driver.repliesReceived(replies) {
            case .send(let next): commands = next
            case .finished(let verdict):
                #expect(verdict.blocked == [])
                if newest == 12, !driver.hasWork {
                    #expect(haproxy.backends[0].servers.filter { $0.admin == 0 }.map(\.name) == ["s1", "s11", "s12"])
                    return
                }
                commands = driver.start()
            }
        }
        Issue.record("the driver does not come to an end")
    }

    @Test("A command without effect is given up after four readings")
    func noEffect() throws {
        var haproxy = running()
        var driver = RuntimeDriver()
        driver.want(backend([1, 2]))
        var commands = driver.start()
        var readings = 0
        for _ in 0..<20 {
            if commands.first?.hasPrefix("show") ?? false { readings += 1 }
            // HAProxy says that it was done, and does not do it.
            let replies = commands.map { command in
                command.hasPrefix("add") ? "New server registered.\n" : haproxy.reply(to: command) ?? ""
            }
            switch try driver.repliesReceived(replies) {
            case .send(let next): commands = next
            case .finished(let verdict):
                #expect(verdict.blocked.count == 2)
                #expect(verdict.blocked.allSatisfy { $0.hasSuffix("has no effect") })
                #expect(readings == RuntimeDriver.attemptsMax)
                return
            }
        }
        Issue.record("the driver does not come to an end")
    }

    @Test("A weight without its number at the end of the options is none", arguments: [[], ["agent-check"]])
    func cutWeight(options: [String]) throws {
        var haproxy = running()
        var driver = RuntimeDriver()
        var desired = backend([1, 2])
        desired.servers?[1].options = options + ["weight"]
        driver.want(desired)
        var commands = driver.start()
        var sent: [String] = []
        for _ in 0..<20 {
            sent += commands
            switch try driver.repliesReceived(commands.compactMap { haproxy.reply(to: $0) }) {
            case .send(let next): commands = next
            case .finished:
                let added = try #require(sent.first { $0.hasPrefix("add server b/s2") })
                #expect(added.hasSuffix(options.isEmpty ? " weight 1" : " 5s"), "\(added)")
                return
            }
        }
        Issue.record("the driver does not come to an end")
    }
}

@Suite("Numbers of servers")
struct ServerNumbersTests {
    @Test("A number that a run had to give to another server is no longer the old one's, so that both fit a section")
    func givenAway() {
        var numbers = ServerNumbers()
        #expect(numbers.number(for: "a", asked: nil, limit: 100, now: 1) == 1)
        #expect(numbers.number(for: "b", asked: nil, limit: 100, now: 1) == 2)
        // While "a" is gone and "b" lingers under 2, HAProxy gets "b" anew under the lowest number free there.
        numbers.remember("b", id: 1, seen: 2)
        #expect(numbers.number(for: "b", asked: nil, limit: 100, now: 3) == 1)
        #expect(numbers.number(for: "a", asked: nil, limit: 100, now: 3) == 2)
        let ids = numbers.known.values.map(\.id)
        #expect(Set(ids).count == ids.count)
    }

    @Test("What a server has already stays its own")
    func kept() {
        var numbers = ServerNumbers()
        numbers.remember("a", id: 7, seen: 1)
        numbers.remember("a", id: 7, seen: 2)
        #expect(numbers.number(for: "a", asked: nil, limit: 100, now: 3) == 7)
        #expect(numbers.known.count == 1)
    }
}
