/// Which section a `listen` line belongs to. A line that begins with a keyword of a section is valid there; the test
/// is a prefix test without word boundary, as files rely on, plus the words newer than 1.6.
package enum LineKeywords {
    /// Blanks collapsed, lower case: the form in which lines are compared.
    package static func normalized(_ line: String) -> String {
        Text.words(line).joined(separator: " ").lowercased()
    }

    package static func isValidInFrontend(_ line: String) -> Bool {
        matches(normalized(line), both) || matches(normalized(line), frontend)
    }

    package static func isValidInBackend(_ line: String) -> Bool {
        matches(normalized(line), both) || matches(normalized(line), backend)
    }

    private static func matches(_ line: String, _ keywords: [String]) -> Bool {
        let line = line.hasPrefix("no option ") ? String(line.dropFirst(3)) : line
        return keywords.contains { line.hasPrefix($0) }
    }

    private static func expand(_ head: String, _ tails: String) -> [String] {
        Text.words(tails).map { "\(head) \($0)" }
    }

    private static let both: [String] =
        Text.words(
            """
            acl bind-process block compression description disabled enabled errorfile errorloc force-persist grace
            http-request http-response http-after-response http-error id ignore-persist log mode filter redirect
            """)
        + ["log-tag", "no log", "tcp-request content", "tcp-request inspect-delay"]
        + expand("email-alert", "from level mailers myhostname to")
        + expand("timeout", "http-keep-alive http-request tarpit")
        + expand(
            "stats",
            "admin auth enable hide-version http-request realm refresh scope show-desc show-legends show-node uri")
        + expand(
            "option",
            """
            forceclose forwardfor http-buffer-request http-keep-alive http-no-delay http-pretend-keepalive
            http-server-close http-tunnel http-use-htx http_proxy httpclose httplog independent-streams nolinger
            originalto splice-auto splice-request splice-response tcpka tcplog
            """)
        + Text.words(
            """
            reqadd reqallow reqdel reqdeny reqiallow reqidel reqideny reqipass reqirep reqisetbe reqitarpit reqpass
            reqrep reqsetbe reqtarpit rspadd rspdel rspdeny rspidel rspideny rspirep rsprep
            """)

    private static let frontend: [String] =
        Text.words("backlog bind clitimeout default_backend log-format maxconn monitor-net monitor-uri use_backend")
        + [
            "capture cookie", "capture request header", "capture response header", "declare capture", "monitor fail",
            "rate-limit sessions", "tcp-request connection", "tcp-request session", "timeout client",
            "timeout clitimeout", "unique-id-format", "unique-id-header",
        ]
        + expand(
            "option",
            """
            accept-invalid-http-request clitcpka contstats dontlog-normal dontlognull http-ignore-probes
            http-use-proxy-header log-separate-errors logasap socket-stats tcp-smart-accept
            """)

    private static let backend: [String] =
        Text.words(
            """
            appsession balance contimeout cookie default-server dispatch fullconn hash-type hash-balance-factor
            http-check http-reuse http-send-name-header load-server-state-from-file max-keep-alive-queue redisp retries
            retry-on server source srvtimeout stick-table tcp-check transparent use-server
            """)
        + ["persist rdp-cookie", "tcp-response content", "tcp-response inspect-delay"]
        + expand("external-check", "command path")
        + expand("stick", "match on store-request store-response")
        + expand("timeout", "check connect contimeout queue server srvtimeout tunnel")
        + expand(
            "option",
            """
            abortonclose accept-invalid-http-response allbackups allredisp checkcache external-check httpchk
            lb-agent-chk ldap-check log-health-checks mysql-check persist pgsql-check prefer-last-server redis-check
            redispatch smtpchk srvtcpka ssl-hello-chk tcp-check tcp-smart-connect transparent
            """)
}
