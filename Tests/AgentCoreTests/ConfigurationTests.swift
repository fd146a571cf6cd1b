import Primitives
import Testing

@testable import AgentCore

@Suite struct NerveConfigurationTests {
    @Test("A realistic file decodes with coercions, defaults and reporters")
    func realistic() throws {
        let file = try tree(
            """
            {"instance_id":"web-17","heartbeat_path":"/run/nerve.hb","max_repeated_report_failures":5,
             "statsd":{"host":"127.0.0.1","port":8125},"service_conf_dir":"/etc/nerve/conf.d",
             "services":{
              "orders_8001":{"host":"10.0.0.4","port":"8001","reporter_type":"zookeeper","zk_hosts":["zk2:2181","zk1:2181"],
                "zk_path":"/nerve/services/orders/services","check_interval":2,"weight":"7","use_path_encoding":true,
                "checks":[{"type":"http","uri":"health","timeout":"0.2","rise":"3","fall":2,"open_timeout":1,
                           "ssl_timeout":3,"headers":{"X-Probe":"nerve","N":1},"expect":"ok"},{"type":"tcp","port":9000}]},
              "cache":{"host":"10.0.0.4","port":6379,"reporter_type":"etcd","etcd_host":"e1","etcd_path":"/nerve/cache/",
                "labels":{"region:us1":"","n":1},"haproxy_server_options":"backup","checks":[{"type":"tcp"}],
                "rate_limiting":{"average_rate":0.5,"max_burst":3,"shadow_mode":false}},
              "plain":{"host":"h","port":1,"reporter_type":"registry","registry_hosts":"r1:2379","registry_path":"/svc/plain",
                "check_mocked":true,"load_test_concurrency":2,"fast_confirmation":true}
             }}
            """)
        let decoding = NerveConfiguration.decode(file)
        #expect(decoding.errors.isEmpty, "\(decoding.errors)")
        let configuration = try #require(decoding.configuration)
        #expect(configuration.services.map(\.name) == ["orders_8001", "cache", "plain_0", "plain_1"])
        let orders = configuration.services[0]
        #expect(orders.registry.hosts == ["zk1:2181", "zk2:2181"])
        #expect(orders.path == "/nerve/services/orders/services" && orders.checkInterval == .seconds(2))
        #expect(orders.weight == 7 && orders.port == .string("8001"))
        #expect(orders.checks[0].name == "http-10.0.0.4:8001/health")
        #expect(
            orders.checks[0].timeout == .milliseconds(200) && orders.checks[0].rise == 3 && orders.checks[0].fall == 2)
        guard case .http(let http) = orders.checks[0].kind else { return #expect(Bool(false), "not http") }
        #expect(http.uri == "/health" && http.openTimeout == .seconds(1) && http.readTimeout == .milliseconds(200))
        #expect(http.handshakeTimeout == .seconds(3))
        #expect(http.headers == [.init("X-Probe", "nerve"), .init("N", "1")] && http.expect == "ok")
        #expect(
            orders.checks[1].name == "orders_8001 tcp-10.0.0.4:9000" && orders.checks[1].timeout == .milliseconds(100))
        let cache = configuration.services[1]
        #expect(cache.registry.hosts == ["e1:4003"] && cache.path == "/nerve/cache")
        #expect(cache.checkInterval == .milliseconds(500))
        #expect(cache.rateLimit?.isShadow == false && cache.rateLimit?.averageRate?.billionths == 500_000_000)
        #expect(configuration.services[3].fastConfirmation == .milliseconds(100))
        let warned = decoding.warnings.map(\.path)
        #expect(warned.contains("max_repeated_report_failures") && warned.contains("services.orders_8001.zk_hosts"))
    }

    @Test(
        "Each mistake is an error that names the path",
        arguments: [
            (#""checks":[{"type":"tcp","riise":3}]"#, "services.s.checks[0].riise: unknown key, did you mean rise?"),
            (#""checks":[{"type":"redis"}]"#, "services.s.checks[0].type: check type redis is not supported yet"),
            (#""checks":[{"type":"http"}]"#, "services.s.checks[0].uri: is required"),
            (#""checks":[{"type":"htpp","uri":"/"}]"#, "services.s.checks[0].type: unknown check type"),
            (#""checks":{"type":"tcp"}"#, "services.s.checks: expected a list of maps, found a map"),
            (#""checks":[{"type":"tcp","fall":0}]"#, "services.s.checks[0].fall: 0 is out of range"),
            (#""checks":[{"type":"tcp","rise":"3x"}]"#, "services.s.checks[0].rise: expected a whole number"),
            (#""check_interval":"fast""#, "services.s.check_interval: expected a number"),
            (#""check_interval":0.009"#, "services.s.check_interval: checks cannot be closer than 0.01 s"),
            (#""weight":"-1""#, "services.s.weight: expected a whole number of at least 0"),
            (#""weight":"abc""#, "services.s.weight"), (#""weight":1.5"#, "services.s.weight"),
            (#""check_mocked":"yes""#, "services.s.check_mocked: expected true or false"),
            (#""reporter_type":"serf""#, "services.s.reporter_type: \"serf\" is not supported"),
            (#""zk_hosts":[]"#, "services.s.zk_hosts: is required"),
            (
                #""reporter_type":"registry","registry_path":"/p","registry_hosts":["http://h:2379"]"#,
                "services.s.registry_hosts: \"http://h:2379\" is not host:port"
            ),
            (#""zk_hosts":["nohost"]"#, "services.s.zk_hosts: \"nohost\" is not host:port"),
            (#""rate_limiting":{"average_rate":-1}"#, "services.s.rate_limiting.average_rate: cannot be negative"),
            (#""port":"http""#, "services.s.port: expected a port number"),
            (#""chekcs":[]"#, "services.s.chekcs: unknown key, did you mean checks?"),
        ])
    func mistakes(part: String, expected: String) throws {
        let file = try tree(
            """
            {"instance_id":"i","services":{"good":{"host":"h","port":1,"zk_hosts":["z:1"],"zk_path":"/g"},
             "s":{"host":"h","port":1,"zk_hosts":["z:1"],"zk_path":"/p",\(part)}}}
            """)
        let decoding = NerveConfiguration.decode(file)
        #expect(decoding.errors.contains { $0.description.hasPrefix(expected) }, "\(decoding.errors)")
        #expect(!decoding.isValid)
        #expect(decoding.configuration?.services.map(\.name) == ["good"], "the other service stays usable")
    }

    @Test("Top-level mistakes, empty files and bad instance ids are fatal; -i wins")
    func fatal() throws {
        #expect(NerveConfiguration.decode(.null).configuration == nil)
        #expect(NerveConfiguration.decode(try tree("[]")).configuration == nil)
        #expect(NerveConfiguration.decode(try tree(#"{"services":{}}"#)).configuration == nil)
        #expect(NerveConfiguration.decode(try tree(#"{"instance_id":"a/b"}"#)).configuration == nil)
        let named = NerveConfiguration.decode(
            try tree(#"{"instance_id":"file"}"#), options: DecodingOptions(instanceID: "flag"))
        #expect(named.configuration?.instanceID == "flag")
        let misspelt = NerveConfiguration.decode(try tree(#"{"instance_id":"i","servces":{}}"#))
        #expect(misspelt.errors.map(\.description) == ["servces: unknown key, did you mean services?"])
        let tolerant = NerveConfiguration.decode(
            try tree(#"{"instance_id":"i","servces":{}}"#), options: DecodingOptions(unknownKeys: .warn))
        #expect(tolerant.isValid && tolerant.warnings.count == 1)
    }

    @Test("--registry dials the registry at the same paths; service files replace; overlays merge")
    func overrides() throws {
        let main = try tree(
            #"{"instance_id":"i","services":{"a":{"host":"h","port":1,"zk_hosts":["z:1"],"zk_path":"/a"}}}"#)
        let overlay = try tree(#"{"services":{"a":{"weight":3}}}"#)
        let file = ServiceFile(
            serviceName: "b",
            tree: try tree(#"{"host":"h","port":2,"reporter_type":"etcd","etcd_host":"e","etcd_path":"/b"}"#))
        let decoding = NerveConfiguration.decode(
            main.merged(with: overlay), serviceFiles: [file],
            options: DecodingOptions(registryHosts: ["g2:2379", "g1:2379"]))
        let services = try #require(decoding.configuration).services
        #expect(decoding.issues.isEmpty)
        #expect(services.map(\.path) == ["/a", "/b"] && services.map(\.weight) == [3, nil])
        #expect(services.allSatisfy { $0.registry.hosts == ["g1:2379", "g2:2379"] })
    }

    @Test("registry_tls of the file holds for all its services, that of a service for itself")
    func registryTLS() throws {
        let text = """
            {"instance_id":"i","registry_hosts":["r:1"],"registry_tls":{"ca":"/ca","cert":"/c","key":"/k"},"services":{
              "a":{"host":"h","port":1,"reporter_type":"registry","registry_path":"/a"},
              "b":{"host":"h","port":1,"reporter_type":"registry","registry_path":"/b",
                   "registry_tls":{"server_name":"n","insecure_skip_verify":true}},
              "c":{"host":"h","port":1,"reporter_type":"registry","registry_path":"/c","registry_tls":{"cert":"/c"}},
              "d":{"host":"h","port":1,"reporter_type":"registry","registry_path":"/d","registry_tls":{"cacert":"/c"}}}}
            """
        let decoding = NerveConfiguration.decode(try tree(text))
        let services = try #require(decoding.configuration).services
        var (file, own) = (RegistryTLS(), RegistryTLS())
        (file.trustedCAFile, file.certificateFile, file.keyFile) = ("/ca", "/c", "/k")
        (own.serverName, own.skipsVerification) = ("n", true)
        #expect(services.map(\.name) == ["a", "b"] && services.map(\.registry.tls) == [file, own])
        #expect(services[0].registry < services[1].registry || services[1].registry < services[0].registry)
        #expect(
            decoding.errors.map(\.description) == [
                "services.c.registry_tls.cert: is of no use without key",
                "services.d.registry_tls.cacert: unknown key, did you mean cert?",
            ])
        #expect(decoding.warnings.map(\.path) == ["services.b.registry_tls.insecure_skip_verify"])
    }

    @Test("Places in the file stand before the path")
    func places() {
        let entry = ConfigEntry("hots", .string("x"), at: ConfigPlace(file: "nerve.yaml", line: 7))
        let service = ConfigEntry("s", .map([entry]), at: ConfigPlace(file: "nerve.yaml", line: 6))
        let decoding = NerveConfiguration.decode(
            .map([ConfigEntry("instance_id", .string("i")), ConfigEntry("services", .map([service]))]))
        #expect(
            decoding.errors.map(\.description).contains(
                "nerve.yaml:7: services.s.hots: unknown key, did you mean host?"))
        #expect(decoding.errors.map(\.description).contains("nerve.yaml:6: services.s.host: is required"))
    }
}

@Suite struct SynapseConfigurationTests {
    static let realistic = """
        {"services":{
          "web":{"discovery":{"method":"zookeeper","path":"/svc/web","hosts":["r1:2181"],
                   "label_filter":{"label":"az","value":"b","condition":"equals"},
                   "label_filters":[{"label":"old","value":"","condition":"not-equals"},{"label":"x","value":"y"}],
                   "retry_policy":{"max_attempts":3},"decode":{"method":"nerve","endpoint_name":"http"}},
                 "default_servers":[{"name":"d","host":"10.9.9.9","port":"80"}],"use_previous_backends":false,
                 "haproxy":{"port":4100,"server_options":"check inter 2s","listen":["mode http"],"frontend":"timeout client 3s",
                            "backend_order":"asc","cookie_value_method":"hash","bind_options":"ssl crt /x.pem"}},
          "fixed":{"discovery":{"method":"base"},"default_servers":[{"host":"::1","port":81,"weight":3}],
                   "haproxy":{"port":null,"bind_address":"/run/a.sock","server_port_override":"8080"}}},
         "haproxy":{"global":["daemon"],"defaults":[],"config_file_path":"/etc/haproxy.cfg","reload_command":"true",
           "socket_file_path":["/run/a","/run/b"],"extra_sections":{"listen stats :3212":["mode http"]},
           "server_order_seed":"286547381923847192387419823741","restart_interval":60,"restart_jitter":0.1,"state_file_ttl":1800}}
        """

    @Test("registry_tls of the file holds for all services, that of a discovery section for itself")
    func registryTLS() throws {
        let text = """
            {"registry_hosts":["r:1"],"registry_tls":{},"haproxy":{"global":[],"defaults":[],"do_writes":false,
              "do_reloads":false,"do_socket":false},"services":{
              "a":{"discovery":{"method":"registry","path":"/a"},"haproxy":{"port":1}},
              "b":{"discovery":{"method":"registry","path":"/b","registry_tls":{"ca":"/ca"}},"haproxy":{"port":2}}}}
            """
        let decoding = SynapseConfiguration.decode(try tree(text))
        var own = RegistryTLS()
        own.trustedCAFile = "/ca"
        #expect(decoding.errors.isEmpty, "\(decoding.errors)")
        let discoveries = try #require(decoding.configuration).services.map(\.discovery)
        #expect(
            discoveries == [
                .registry(RegistryEndpoints(["r:1"], tls: RegistryTLS()), path: "/a", isRecursive: false),
                .registry(RegistryEndpoints(["r:1"], tls: own), path: "/b", isRecursive: false),
            ])
    }

    @Test("A realistic file decodes")
    func realistic() throws {
        let decoding = SynapseConfiguration.decode(try tree(Self.realistic))
        #expect(decoding.errors.isEmpty, "\(decoding.errors)")
        let configuration = try #require(decoding.configuration)
        let web = configuration.services[0]
        #expect(web.discovery == .registry(RegistryEndpoints(["r1:2181"]), path: "/svc/web", isRecursive: false))
        #expect(web.labelFilters.map(\.condition) == [.equals, .notEquals, .never])
        #expect(web.defaultServers == [Backend(host: "10.9.9.9", port: "80", name: "d")] && !web.usePreviousBackends)
        #expect(web.haproxy.port == .number("4100") && web.haproxy.frontend == ["timeout client 3s"])
        #expect(web.haproxy.backendOrder == .ascending && web.haproxy.hashesCookie)
        let fixed = configuration.services[1]
        #expect(fixed.discovery == .fixed && fixed.haproxy.port == .bareAddress && fixed.backendPortOverride == "8080")
        #expect(
            configuration.haproxy.candidatePath == "/etc/haproxy.cfg.tmp"
                && configuration.haproxy.socketPaths.count == 2)
        #expect(configuration.haproxy.restartJitter.billionths == 100_000_000)
    }

    @Test(
        "Each mistake is an error that names the path",
        arguments: [
            (
                #""discovery":{"method":"dns","servers":[]}"#,
                "services.s.discovery.method: discovery method dns is not supported yet"
            ),
            (#""discovery":{"method":"awstag"}"#, "services.s.discovery.method: unknown discovery method"),
            (#""discovery":{"method":"zookeeper","path":"/x"}"#, "services.s.discovery.hosts: is required"),
            (
                #""discovery":{"method":"etcd","hosts":["e:1"],"path":"x"}"#,
                "services.s.discovery.path: must begin with a slash"
            ),
            (
                #""discovery":{"method":"base"},"haproxy":{"server_options":"%{hots}"}"#,
                "services.s.haproxy.server_options: unknown field"
            ),
            (
                #""discovery":{"method":"base"},"haproxy":{"backend":["a\nb"]}"#,
                "services.s.haproxy.backend: one line holds"
            ),
            (
                #""discovery":{"method":"base"},"haproxy":{"prot":1}"#,
                "services.s.haproxy.prot: unknown key, did you mean port?"
            ),
            (
                #""discovery":{"method":"base"},"backend_port_override":"x""#,
                "services.s.backend_port_override: \"x\" is not a port"
            ),
            (
                #""discovery":{"method":"base"},"default_servers":[{"host":"a b","port":1}]"#,
                "services.s.default_servers[0]: "
            ),
            (
                #""discovery":{"method":"registry","hosts":["http://h:2379"],"path":"/x"}"#,
                "services.s.discovery.hosts: \"http://h:2379\" is not host:port"
            ),
            (#""default_servers":[]"#, "services.s.discovery: is required"),
            (
                #""discovery":{"method":"zookeeper","hosts":["z:1"],"path":"/x","decode":{"method":"serverset"}}"#,
                "services.s.discovery.decode.method: decoding as serverset is not supported yet"
            ),
        ])
    func mistakes(part: String, expected: String) throws {
        let file = try tree(
            #"{"services":{"s":{\#(part)}},"haproxy":{"global":[],"defaults":[],"do_writes":false,"do_reloads":false,"do_socket":false}}"#
        )
        let decoding = SynapseConfiguration.decode(file)
        #expect(decoding.errors.contains { $0.description.hasPrefix(expected) }, "\(decoding.errors)")
        #expect(decoding.configuration?.services.isEmpty == true)
    }

    @Test("Switched-on actions need their companions, unknown generators are named, sections are unique")
    func topLevel() throws {
        let bare = SynapseConfiguration.decode(try tree(#"{"services":{},"haproxy":{"global":[],"defaults":[]}}"#))
        #expect(bare.configuration == nil)
        #expect(
            bare.errors.map(\.path) == [
                "haproxy.config_file_path", "haproxy.reload_command", "haproxy.socket_file_path",
            ])
        let none = SynapseConfiguration.decode(try tree(#"{"services":{},"file_output":{}}"#))
        #expect(none.errors.map(\.path) == ["haproxy", "file_output"])
        let quick = SynapseConfiguration.decode(
            try tree(
                """
                {"services":{},"haproxy":{"global":[],"defaults":[],"do_writes":false,"do_reloads":false,
                 "do_socket":false,"restart_interval":0}}
                """))
        #expect(quick.errors.isEmpty && quick.configuration?.haproxy.restartInterval == .zero)
        let twins = SynapseConfiguration.decode(
            try tree(
                """
                {"services":{"a":{"discovery":{"method":"base"},"haproxy":{"backend_name":"x"}},
                 "b":{"discovery":{"method":"base"},"haproxy":{"backend_name":"x"}}},
                 "haproxy":{"global":[],"defaults":[],"do_writes":false,"do_reloads":false,"do_socket":false}}
                """))
        #expect(
            twins.errors.map(\.description) == ["services.b.haproxy.backend_name: \"x\" is already the backend of a"])
    }
}

@Suite struct FileTextTests {
    @Test(
        "Plain scalars follow YAML 1.1",
        arguments: [
            ("yes", ConfigValue.bool(true)), ("Off", .bool(false)), ("~", .null), ("", .null), ("0755", .int(493)),
            ("12:30", .int(750)), ("0x1F", .int(31)), ("1_000", .int(1000)), ("-5", .int(-5)), ("0.2", .decimal("0.2")),
            (".5", .decimal(".5")), ("1e3", .decimal("1e3")), ("host:80", .string("host:80")),
            ("10.0.0.4", .string("10.0.0.4")),
            ("089", .string("089")), ("286547381923847192387419823741", .decimal("286547381923847192387419823741")),
            ("-", .string("-")), ("y", .string("y")), ("1.2.3", .string("1.2.3")), ("/run/x", .string("/run/x")),
            ("12:99", .string("12:99")), ("é", .string("é")), ("_", .string("_")), ("0", .int(0)),
        ])
    func scalars(text: String, value: ConfigValue) {
        #expect(ConfigValue.plainScalar(text) == value)
    }

    @Test("Environment look-ups are filled in; any other tag is an error with its line")
    func templates() throws {
        let environment = { (name: String) -> String? in name == "HOST" ? "h1" : nil }
        #expect(
            try ErbTemplate.expand(
                "a: <%= ENV['HOST'] %>\nb: <%=ENV[\"NONE\"]-%>|<%= ENV.fetch('NONE', 'd') %><%# note %> 5 <%% x",
                environment: environment)
                == "a: h1\nb: |d 5 <% x")
        #expect(throws: ErbFailure(line: 2, tag: " if true ")) {
            try ErbTemplate.expand("x\n<% if true %>", environment: environment)
        }
        #expect(throws: ErbFailure.self) {
            try ErbTemplate.expand("<%= ENV.fetch('NONE') %>", environment: environment)
        }
        #expect(throws: ErbFailure.self) { try ErbTemplate.expand("<%= ENV['A'", environment: environment) }
        #expect(throws: ErbFailure.self) { try ErbTemplate.expand("<%= ENV['A'] + `id` %>", environment: environment) }
    }

    @Test("Numbers of the file become legal JSON numbers in payloads")
    func numbers() {
        #expect(ConfigValue.decimal(".5").json == .number("0.5"))
        #expect(ConfigValue.decimal("-0.25").json == .number("-0.25"))
        #expect(ConfigValue.decimal("1e3").json == .number("1e3"))
        #expect(ConfigValue.decimal("5.").json == .string("5."))
    }
}
