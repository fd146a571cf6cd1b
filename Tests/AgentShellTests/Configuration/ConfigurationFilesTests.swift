import AgentCore
import Glibc
import Testing

@testable import AgentShell

@Suite struct ConfigurationFilesTests {
    private static let nerve = """
        instance_id: i-1
        registry_hosts: ["127.0.0.1:2379"]
        services:
          web:
            {host: 10.0.0.1, port: 80, reporter_type: registry, registry_path: /web}
        """

    @Test("Files of service_conf_dir add services and replace namesakes; other names are not read")
    func directory() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("services")
        let service =
            "{\"host\": \"10.0.0.2\", \"port\": %, \"reporter_type\": \"registry\", \"registry_path\": \"/x\",}"
        try scratch.write("services/web.json", service.replacing("%", "81"))
        try scratch.write("services/api.yaml", service.replacing("%", "82"))
        try scratch.write("services/ignored.yml", "{")
        try scratch.write("services/.hidden.json", "{")
        let main = try scratch.write("n.yaml", Self.nerve + "\nservice_conf_dir: \(scratch.path)/services\n")
        let loaded = ConfigurationSource(path: main).loadNerve()
        #expect(loaded.isValid, "\(loaded.issues)")
        let services = loaded.configuration?.services ?? []
        #expect(services.map(\.name) == ["api", "web"])
        #expect(services.map(\.port) == [.integer(82), .integer(81)])
    }

    @Test("A broken file of the directory is named with its line")
    func brokenServiceFile() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("services")
        try scratch.write("services/web.json", "{\"host\": \"10.0.0.2\",\n \"port\": [}")
        let main = try scratch.write("n.yaml", Self.nerve + "\nservice_conf_dir: \(scratch.path)/services\n")
        let loaded = ConfigurationSource(path: main).loadNerve()
        #expect(loaded.configuration == nil)
        #expect(loaded.issues.count == 1)
        #expect(loaded.issues.first?.description.hasPrefix("\(scratch.path)/services/web.json:2:11: ") == true)
    }

    @Test("A missing file and a missing directory are named")
    func missing() throws {
        let scratch = try Scratch()
        let absent = ConfigurationSource(path: "\(scratch.path)/none.yaml").loadNerve()
        #expect(
            absent.issues.map(\.description) == ["\(scratch.path)/none.yaml: cannot open: No such file or directory"])
        let main = try scratch.write("n.yaml", Self.nerve + "\nservice_conf_dir: \(scratch.path)/none\n")
        let issues = ConfigurationSource(path: main).loadNerve().issues
        #expect(
            issues.map(\.description)
                == ["\(main): service_conf_dir: \(scratch.path)/none: cannot open: No such file or directory"])
    }

    @Test("A mistake inside a service names file, line and path; the other services are kept")
    func mistake() throws {
        let scratch = try Scratch()
        let main = try scratch.write(
            "n.yaml", Self.nerve + "\n  api:\n    host: 10.0.0.3\n    port: 81\n    riise: 2\n    registry_path: /a\n")
        let checked = ConfigurationSource(path: main).loadNerve(unknownKeys: .refuse)
        #expect(!checked.isValid)
        #expect(checked.configuration?.services.map(\.name) == ["web"])
        #expect(checked.issues.contains { $0.description.hasPrefix("\(main):9: services.api.riise: unknown key") })
    }

    @Test("A key nobody knows is an error for the checker and a warning for an agent that runs")
    func unknownKey() throws {
        let scratch = try Scratch()
        let main = try scratch.write("n.yaml", Self.nerve + "\ncolour: blue\n")
        #expect(!ConfigurationSource(path: main).loadNerve(unknownKeys: .refuse).isValid)
        let loaded = ConfigurationSource(path: main).loadNerve()
        #expect(loaded.isValid)
        #expect(loaded.issues.map(\.description) == ["\(main):6: colour: unknown key, ignored"])
    }

    @Test("The overlay goes over the main file and over the directory's files; -i and --registry go over both")
    func overlay() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("services")
        try scratch.write(
            "services/api.json",
            "{\"host\": \"10.0.0.2\", \"port\": 82, \"reporter_type\": \"registry\", \"registry_path\": \"/x\"}")
        let main = try scratch.write("n.yaml", Self.nerve + "\nservice_conf_dir: \(scratch.path)/services\n")
        let overlay = try scratch.write(
            "o.yaml", "instance_id: i-2\nservices: {web: {port: 90}, api: {weight: 7}}\n")
        var source = ConfigurationSource(
            path: main, overlayPath: overlay, instanceID: "i-3", registryHosts: ["127.0.0.9:1"])
        var loaded = source.loadNerve()
        #expect(loaded.isValid, "\(loaded.issues)")
        #expect(loaded.configuration?.instanceID == "i-3")
        #expect(loaded.configuration?.services.map(\.port) == [.integer(90), .integer(82)])
        #expect(loaded.configuration?.services.map(\.weight) == [nil, 7])
        #expect(loaded.configuration?.services.first?.registry.hosts == ["127.0.0.9:1"])
        source.instanceID = nil
        loaded = source.loadNerve()
        #expect(loaded.configuration?.instanceID == "i-2")
        try scratch.write("o.yaml", "")
        #expect(source.loadNerve().configuration?.instanceID == "i-1")
        try scratch.write("o.yaml", "{")
        loaded = source.loadNerve()
        #expect(loaded.configuration?.instanceID == "i-1")
        #expect(loaded.isValid)
        #expect(loaded.issues.contains { $0.severity == .warning && $0.message.contains("overlay") })
    }

    @Test("A check over TLS makes its service unusable and says so, instead of never registering it")
    func checksOverTLS() throws {
        let scratch = try Scratch()
        let main = try scratch.write(
            "n.yaml",
            Self.nerve.replacing("/web}", "/web, checks: [{type: tcp}, {type: http, uri: /, ssl: true}]}"))
        let loaded = ConfigurationSource(path: main).loadNerve()
        #expect(!loaded.isValid)
        #expect(loaded.configuration?.services.isEmpty == true)
        #expect(loaded.issues.map(\.path).contains("services.web.checks[1].ssl"))
    }

    @Test("synapse's files are templates: variables are filled in, anything else is refused with its line")
    func template() throws {
        let scratch = try Scratch()
        setenv("AGENTSHELL_TEST_PORT", "3333", 1)
        let text = """
            haproxy: {global: [], defaults: [], do_writes: false, do_reloads: false, do_socket: false}
            registry_hosts: ["127.0.0.1:2379"]
            services:
              web:
                discovery: {method: registry, path: /web}
                haproxy: {port: <%= ENV['AGENTSHELL_TEST_PORT'] %>}
            """
        let main = try scratch.write("s.yaml", text)
        let loaded = ConfigurationSource(path: main).loadSynapse()
        #expect(loaded.isValid, "\(loaded.issues)")
        #expect(loaded.configuration?.services.first?.haproxy.port == .number("3333"))
        try scratch.write("s.yaml", "a: 1\nb: <% exit %>\n")
        let issues = ConfigurationSource(path: main).loadSynapse().issues
        #expect(issues.first?.description.hasPrefix("\(main): line 2: <% exit %> is not supported") == true)
    }

    @Test("The examples for systemd are valid")
    func examples() {
        let deploy = #filePath.split(separator: "/").dropLast(4).joined(separator: "/") + "/deploy/example"
        let nerve = ConfigurationSource(path: "/\(deploy)/nerve.yaml").loadNerve()
        #expect(nerve.isValid && nerve.issues.isEmpty, "\(nerve.issues)")
        let synapse = ConfigurationSource(path: "/\(deploy)/synapse.yaml").loadSynapse()
        #expect(synapse.isValid && synapse.issues.isEmpty, "\(synapse.issues)")
    }
}

extension String {
    /// With `text` in the place of `mark`.
    func replacing(_ mark: String, _ text: String) -> String {
        var result = ""
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(mark) {
                result += text
                rest = rest.dropFirst(mark.count)
            } else {
                result.append(rest.removeFirst())
            }
        }
        return result
    }
}
