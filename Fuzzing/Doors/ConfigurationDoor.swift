import AgentCore
import AgentShell

/// The files of nerve and synapse, and what registrations hold: YAML, JSON, template tags, and what they say.
enum ConfigurationDoor: Door {
    static let name = "configuration"

    static func take(_ input: [UInt8]) {
        var script = Script(input)
        let mode = script.choice(4)
        let text = script.rest()
        if mode == 3 {
            _ = try? JSONReader.read(text, limits: .payload)
            return
        }
        var bytes = text
        if mode == 2 {
            let template = String(decoding: text, as: UTF8.self)
            guard let expanded = try? ErbTemplate.expand(template, environment: { $0 == "HOME" ? "/root" : nil }) else {
                return
            }
            bytes = Array(expanded.utf8)
        }
        guard let tree = try? YAMLReader.read(bytes, file: "fuzz.yaml") else { return }
        if mode == 0 {
            _ = NerveConfiguration.decode(tree, serviceFiles: [], options: DecodingOptions(instanceID: "i"))
        } else {
            _ = SynapseConfiguration.decode(tree, serviceFiles: [], options: DecodingOptions())
        }
    }

    static let words: [[UInt8]] =
        [
            "&a ", "*a", "<<: ", "- ", "{", "}", "[", "]", "|\n", ">\n", "!!str ", "!ruby/object ", "---\n", "...\n",
            "? ",
            ": ", "\t", "#", "\"", "'", "\\x", "%YAML 1.1\n", "~", "0o17", "1_000", "1e999", ".inf",
            "-9223372036854775808",
            "9223372036854775808", "services:\n", "checks:\n", "haproxy:\n", "discovery:\n", "host: ", "port: ",
            "<%= ENV['A'] %>",
            "<%=", "%>", "\u{FEFF}", "rise: ", "fall: ", "method: registry\n", "type: http\n", "timeout: ",
        ].map { Array($0.utf8) }

    static var seeds: [Seed] {
        [
            Seed("nerve", [0] + Array(nerve.utf8)), Seed("synapse", [1] + Array(synapse.utf8)),
            Seed("synapse-template", [2] + Array(("a: <%= ENV['HOME'] %>\n" + synapse).utf8)),
            Seed("aliases", [0] + Array("a: &a [1, 2]\nb: &b [*a, *a]\nc: {<<: {d: *b}}\n".utf8)),
            Seed(
                "json",
                [3] + Array(#"{"host":"a","port":1,"name":"\u00e9","weight":1.5e3,"labels":{"a":["b",null]}}"#.utf8)),
        ]
    }

    private static let nerve = """
        instance_id: idle
        services:
          web:
            host: 127.0.0.1
            port: 3000
            reporter_type: registry
            registry_hosts: ["127.0.0.1:2379"]
            registry_path: /services/web
            check_interval: 2
            weight: 3
            labels: {zone: a}
            checks:
              - {type: http, uri: /health, timeout: 0.2, rise: 3, fall: 2, expect: "ok", headers: {A: b}}
              - type: tcp
                timeout: 1
              - type: rabbitmq
                username: u
        rate_limiting: {shadow_mode: false, average_rate: 1.5, max_burst: 10}
        heartbeat_path: /tmp/nerve

        """

    private static let synapse = """
        services:
          web:
            default_servers: [{name: d, host: localhost, port: 5000}]
            discovery: {method: registry, path: /services/web, hosts: ["127.0.0.1:2379"], label_filters: [{label: a, value: b, condition: equals}]}
            haproxy:
              port: 3210
              bind_address: 127.0.0.1
              server_options: check inter 2s
              frontend: [mode http]
              backend: |
                mode http
                option httplog
              shared_frontend: ["acl is_web hdr_dom(host) web"]
              cookie_value_method: hash
          base:
            discovery: {method: base}
            haproxy: {port: 3211}
        haproxy:
          reload_command: systemctl reload haproxy
          config_file_path: /tmp/haproxy.cfg
          socket_file_path: /tmp/stats.sock
          do_writes: true
          do_reloads: true
          do_socket: false
          global: [daemon, "maxconn 4096"]
          defaults: ["timeout connect 5s"]
          extra_sections: {"listen stats :3212": [mode http]}
          restart_interval: 2
          restart_jitter: 0.1
          state_file_path: /tmp/state.json
          state_file_ttl: 86400
          shared_frontend: ["bind 127.0.0.1:8081"]

        """
}
