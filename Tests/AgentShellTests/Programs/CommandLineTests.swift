import Testing

@testable import AgentShell

@Suite(.timeLimit(.minutes(2)))
struct CommandLineTests {
    @Test("Wrong flags end with 64 and say what is wrong", arguments: ["nerve", "synapse"])
    func wrongFlags(_ program: String) async throws {
        for (arguments, message) in [
            ([], "-c FILE"), (["-c", "x", "--bogus"], "--bogus"),
            (["-c", "x", "--log-level", "loud"], "\"loud\" is none of"),
            (["-c", "x", "--registry", "a:b:c"], "IPv6"), (["-c", "x", "--registry", ","], "no hosts"),
        ] {
            let (status, output) = try await Programs.run(program, arguments)
            #expect(status == 64, "\(arguments)")
            #expect(output.contains(message), "\(output)")
        }
    }

    @Test("Version and help are told with status 0", arguments: ["nerve", "synapse"])
    func version(_ program: String) async throws {
        let version = try await Programs.run(program, ["--version"])
        #expect(version.status == 0)
        #expect(version.output == "\(program) \(AgentVersion.text)\n")
        let help = try await Programs.run(program, ["--help"])
        #expect(help.status == 0)
        #expect(help.output.contains("--check-config"))
    }

    @Test(
        "A configuration that cannot be used ends with 1 and names the place, checked or run",
        arguments: ["nerve", "synapse"])
    func unusable(_ program: String) async throws {
        let scratch = try Scratch()
        let broken = try scratch.write("broken.yaml", "services: {\n  a: [}\n")
        let empty = try scratch.write("empty.yaml", "")
        for arguments in [["-c", broken], ["-c", broken, "--check-config"], ["--config", broken, "-k"]] {
            let (status, output) = try await Programs.run(program, arguments)
            #expect(status == 1)
            #expect(output.contains("\(broken):2:7: "), "\(output)")
        }
        let (status, output) = try await Programs.run(program, ["-c", empty, "-k"])
        #expect(status == 1)
        #expect(output.contains("the file is empty"))
        let absent = try await Programs.run(program, ["-k"], environment: ["\(program.uppercased())_CONFIG=/none.yaml"])
        #expect(absent.status == 1)
        #expect(absent.output.contains("/none.yaml: cannot open: No such file or directory"))
    }

    @Test("A valid configuration is checked without starting anything")
    func valid() async throws {
        let bench = try AgentBench()
        try bench.writeNerve([(name: "web", port: 1)])
        _ = try bench.writeSynapse()
        for program in ["nerve", "synapse"] {
            let (status, output) = try await Programs.run(
                program, ["-c", "\(bench.scratch.path)/\(program).yaml", "--check-config"])
            #expect(status == 0)
            #expect(output == "")
        }
        #expect(bench.scratch.read("heartbeat") == nil)
        #expect(bench.scratch.read("haproxy.cfg") == nil)
    }
}
