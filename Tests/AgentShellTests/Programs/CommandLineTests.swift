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
            (["-c"], "--config needs a value"), (["-c", "x", "-k=1"], "-k=1"), (["-c", "x", "stray"], "\"stray\""),
            (["-c", "x", "--check-config=yes"], "--check-config takes no value"), (["-c", ""], "-c FILE"),
        ] {
            let (status, output) = try await Programs.run(program, arguments)
            #expect(status == 64, "\(arguments)")
            #expect(output.contains(message), "\(output)")
        }
    }

    @Test("Flags win over the environment, whose variables are read as Ruby's nerve reads them")
    func environment() throws {
        let variables = [
            "NERVE_CONFIG": "e.yaml", "NERVE_INSTANCE_ID": "e-1", "NERVE_CONFIG_OVERLAY": "o.yaml",
            "NERVE_CHECK_CONFIG": "", "DEBUG": "",
        ]
        var flags = try AgentFlags(.nerve, arguments: []) { variables[$0] }
        #expect(
            flags.source == ConfigurationSource(path: "e.yaml", overlayPath: "o.yaml", instanceID: "e-1"))
        #expect(flags.mode == .check)
        #expect("\(flags.logLevel)" == "debug")
        flags = try AgentFlags(
            .nerve,
            arguments: [
                "--config=f.yaml", "-i", "f-1", "-o", "p.yaml", "--registry", "a:1, b", "--log-level", "error",
            ]
        ) { $0 == "NERVE_CHECK_CONFIG" ? nil : variables[$0] }
        #expect(
            flags.source
                == ConfigurationSource(
                    path: "f.yaml", overlayPath: "p.yaml", instanceID: "f-1", registryHosts: ["a:1", "b"]))
        #expect(flags.mode == .run)
        #expect("\(flags.logLevel)" == "error")
        let synapse = try AgentFlags(.synapse, arguments: ["-c", "s.yaml"]) { variables[$0] }
        #expect(synapse.source == ConfigurationSource(path: "s.yaml"))
        #expect(throws: FlagFailure.self) { try AgentFlags(.synapse, arguments: ["-c", "s", "-i", "x"]) }
    }

    @Test("Version and help are told with status 0", arguments: ["nerve", "synapse"])
    func version(_ program: String) async throws {
        let version = try await Programs.run(program, ["--version"])
        #expect(version.status == 0)
        #expect(version.output == "\(program) \(AgentVersion.text)\n")
        let help = try await Programs.run(program, ["--help"])
        #expect(help.status == 0)
        for text in ["--check-config", "\(program.uppercased())_CHECK_CONFIG", "usage: \(program) -c FILE"] {
            #expect(help.output.contains(text), "\(help.output)")
        }
        #expect(help.output.contains("--instance-id") == (program == "nerve"))
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
