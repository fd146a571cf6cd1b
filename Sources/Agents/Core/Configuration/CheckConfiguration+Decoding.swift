import Primitives

extension CheckConfiguration {
    /// Check types of the Ruby programs and of published plug-ins that are known by name and not run here.
    private static let otherTypes = [
        "redis", "rabbitmq", "noop", "base", "mysql", "postgres", "exec", "grpc", "zookeeper",
    ]
    private static let httpKeys = ["uri", "ssl", "headers", "expect", "open_timeout", "read_timeout", "ssl_timeout"]

    /// One element of `checks`, or nil with the reasons in `context`.
    static func decode(
        _ map: inout MapReader, service: NerveService, servicePort: Int?, _ context: inout DecodingContext
    ) -> CheckConfiguration? {
        let before = context.errorCount
        guard let type = map.text("type", &context)?.lowercased() else {
            if context.errorCount == before { map.fail("type", "is required: tcp or http", &context) }
            return nil
        }
        if otherTypes.contains(type) {
            map.fail("type", "check type \(type) is not supported yet", &context)
            return nil
        }
        guard type == "tcp" || type == "http" else {
            map.fail("type", "unknown check type: " + RegistrySection.unknown(type, known: ["tcp", "http"]), &context)
            return nil
        }
        let host = map.text("host", &context) ?? service.host
        let port = map.integer("port", in: 1...65535, &context).map { Int($0) } ?? servicePort ?? 0
        if port == 0, context.errorCount == before {
            map.fail("port", "is required, the service has none to check", &context)
        }
        let timeout = map.span("timeout", &context) ?? .milliseconds(100)
        if timeout < .milliseconds(1) { map.fail("timeout", "must be at least 0.001 s", &context) }
        let rise = map.integer("rise", in: 1...1000, &context) ?? 1
        let fall = map.integer("fall", in: 1...1000, &context) ?? 1
        let kind: Kind? = type == "tcp" ? .tcp : decodeHTTP(&map, timeout: timeout, &context).map { .http($0) }
        if type == "tcp" { map.accept(httpKeys, because: "tcp checks do not use it", &context) }
        map.accept(["username", "password"], because: "\(type) checks do not use it", &context)
        map.accept(["module"], because: "check types are built in", &context)
        let name = map.text("name", &context) ?? "\(service.name) \(type)-\(host):\(port)"
        map.finish(&context)
        guard context.errorCount == before, let kind else { return nil }
        var check = CheckConfiguration(
            name: name, kind: kind, host: host, port: port, timeout: timeout, rise: Int(rise), fall: Int(fall))
        // An HTTP check's name is fixed.
        if case .http(let http) = kind { check.name = "http-\(host):\(port)\(http.uri)" }
        return check
    }

    private static func decodeHTTP(
        _ map: inout MapReader, timeout: TimeSpan, _ context: inout DecodingContext
    ) -> HTTPCheck? {
        var uri = map.requiredText("uri", &context)
        if !uri.hasPrefix("/") { uri = "/" + uri }
        if Text.hasControlCharacter(uri) || uri.contains(" ") {
            map.fail("uri", "cannot hold blanks or control characters", &context)
        }
        var check = HTTPCheck(uri: uri, readTimeout: timeout)
        check.usesTLS = map.bool("ssl", default: false, &context)
        check.expect = map.text("expect", &context)
        check.openTimeout = map.span("open_timeout", &context) ?? check.openTimeout
        check.readTimeout = map.span("read_timeout", &context) ?? timeout
        check.handshakeTimeout = map.span("ssl_timeout", &context) ?? check.handshakeTimeout
        if var headers = map.map("headers", &context) {
            for entry in headers.all() {
                guard let value = MapReader.scalarText(entry.value), !Text.hasControlCharacter(entry.key + value),
                    !entry.key.contains(":"), !entry.key.contains(" ")
                else {
                    headers.fail(entry.key, "is not a header: \(entry.value.kind)", &context)
                    continue
                }
                check.headers.append(HTTPCheck.Header(entry.key, value))
            }
        }
        return check
    }
}
