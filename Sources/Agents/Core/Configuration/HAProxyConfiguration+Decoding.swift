import Primitives

extension HAProxyConfiguration {
    /// The top-level `haproxy` map; complaints go to `context`.
    static func decode(_ map: inout MapReader, _ context: inout DecodingContext) -> HAProxyConfiguration {
        var result = HAProxyConfiguration()
        for key in ["global", "defaults"] where map.value(key) == nil {
            map.fail(key, "is required, a list of lines which may be empty", &context)
        }
        result.global = map.configLines("global", &context)
        result.defaults = map.configLines("defaults", &context)
        result.extraSections = decodeSections(&map, &context)
        result.configFilePath = map.text("config_file_path", &context)
        result.candidatePath =
            map.text("candidate_config_file_path", &context) ?? result.configFilePath.map { $0 + ".tmp" }
        result.reloadCommand = map.text("reload_command", &context)
        result.socketPaths = map.lines("socket_file_path", &context) ?? []
        result.doesWrites = map.bool("do_writes", default: true, &context)
        result.doesReloads = map.bool("do_reloads", default: true, &context)
        result.doesSocket = map.bool("do_socket", default: true, &context)
        let doesChecks = map.bool("do_checks", default: false, &context)
        let checkCommand = map.text("check_command", &context)
        result.checkCommand = doesChecks ? checkCommand : nil
        result.bindAddress = map.text("bind_address", &context) ?? "localhost"
        if map.value("shared_frontend") != nil { result.sharedFrontend = map.configLines("shared_frontend", &context) }
        result.restartInterval = map.span("restart_interval", &context) ?? .seconds(2)
        result.restartJitter = map.decimal("restart_jitter", &context) ?? DecimalNumber(billionths: 0)
        result.stateFilePath = map.text("state_file_path", &context)
        result.stateFileTTL = map.span("state_file_ttl", &context) ?? .seconds(86_400)
        result.serverOrderSeed = map.text("server_order_seed", &context)
        result.maxServerID = Int(map.integer("max_server_id", in: 1...2_000_000_000, &context) ?? 65_535)
        result.usesNerveWeights = map.bool("use_nerve_weights", default: false, &context)
        checkCompanions(result, doesChecks: doesChecks, checkCommand, &map, &context)
        map.finish(&context)
        return result
    }

    /// A switched-on action needs what it acts with.
    private static func checkCompanions(
        _ result: HAProxyConfiguration, doesChecks: Bool, _ checkCommand: String?, _ map: inout MapReader,
        _ context: inout DecodingContext
    ) {
        if result.doesWrites, result.configFilePath == nil {
            map.fail("config_file_path", "is required while do_writes is on", &context)
        }
        if result.doesReloads, result.reloadCommand == nil {
            map.fail("reload_command", "is required while do_reloads is on", &context)
        }
        if result.doesSocket, result.socketPaths.isEmpty {
            map.fail("socket_file_path", "is required while do_socket is on", &context)
        }
        if doesChecks, checkCommand == nil {
            map.fail("check_command", "is required while do_checks is on", &context)
        }
        if result.restartJitter.billionths < 0 { map.fail("restart_jitter", "cannot be negative", &context) }
    }

    private static func decodeSections(_ map: inout MapReader, _ context: inout DecodingContext) -> [Section] {
        guard var sections = map.map("extra_sections", &context) else { return [] }
        return sections.all().map { entry in
            if Text.hasControlCharacter(entry.key) {
                sections.fail(entry.key, "a section header is one line", &context)
            }
            return Section(header: entry.key, lines: sections.configLines(entry.key, &context))
        }
    }
}

extension HAProxyService {
    /// The `haproxy` map of a service; complaints go to `context`.
    static func decode(_ map: inout MapReader, _ context: inout DecodingContext) -> HAProxyService {
        var result = HAProxyService()
        result.isDisabled = map.bool("disabled", default: false, &context)
        result.port = decodePort(&map, &context)
        result.bindAddress = map.singleLine("bind_address", &context)
        result.bindOptions = map.singleLine("bind_options", &context)
        if case .list? = map.value("server_options")?.value {
            map.warn("server_options", "has no effect: it must be one text, a list was always ignored", &context)
        } else {
            result.serverOptions = map.singleLine("server_options", &context) ?? ""
        }
        do {
            _ = try ServerTemplate.fill(result.serverOptions, host: "h", port: "1", name: "n")
        } catch {
            map.fail("server_options", error.description, &context)
        }
        result.frontend = map.configLines("frontend", &context)
        result.backend = map.configLines("backend", &context)
        result.listen = map.configLines("listen", &context)
        result.backendName = map.singleLine("backend_name", &context)
        if map.value("shared_frontend") != nil { result.sharedFrontend = map.configLines("shared_frontend", &context) }
        result.usesNerveWeights = map.bool("use_nerve_weights", default: false, &context)
        switch map.text("backend_order", &context) {
        case nil, "shuffle": result.backendOrder = .shuffled
        case "asc": result.backendOrder = .ascending
        case "desc": result.backendOrder = .descending
        case "no_shuffle": result.backendOrder = .asDiscovered
        case .some(let word):
            map.warn("backend_order", "\"\(word)\" is none of asc, desc, no_shuffle and shuffles", &context)
        }
        switch map.text("cookie_value_method", &context) {
        case nil, "name": result.hashesCookie = false
        case "hash": result.hashesCookie = true
        case .some(let word): map.fail("cookie_value_method", "\"\(word)\" is neither name nor hash", &context)
        }
        // Read by the service, because it replaces ports outside HAProxy too.
        _ = map.entry("server_port_override")
        map.finish(&context)
        return result
    }

    private static func decodePort(_ map: inout MapReader, _ context: inout DecodingContext) -> Port {
        guard let entry = map.entry("port") else { return .none }
        if entry.value == .null { return .bareAddress }
        guard let number = map.integer("port", in: 1...65535, &context) else { return .none }
        return .number(String(number))
    }
}

extension MapReader {
    /// Configuration lines; a line end inside one would add lines nobody checked.
    mutating func configLines(_ key: String, _ context: inout DecodingContext) -> [String] {
        let lines = lines(key, &context) ?? []
        for line in lines where line.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
            fail(key, "one line holds a line end or a control character: \(line.prefix(40))", &context)
        }
        return lines
    }

    mutating func singleLine(_ key: String, _ context: inout DecodingContext) -> String? {
        guard let text = text(key, &context) else { return nil }
        if Text.hasControlCharacter(text) { fail(key, "must be one line", &context) }
        return text
    }
}
