import Glibc

/// What the kernel knows about this process, under the names every Prometheus library uses and etcd's own two.
struct ProcessMetrics {
    private static let limit = Self.openFilesMax()

    /// Reads `/proc`: may block, and takes longer the more files are open. What cannot be read is left out.
    static func render() -> String {
        var text = PrometheusText()
        func gauge(_ name: String, _ help: String, _ value: String?, _ type: String = "gauge") {
            guard let value else { return }
            text.family(name, type, help)
            text.sample(name, [], text: value)
        }
        let files = openFiles().map(String.init)
        gauge("os_fd_used", "Open file descriptors.", files)
        gauge("os_fd_limit", "How many file descriptors may be open.", limit.map(String.init))
        gauge("process_open_fds", "Open file descriptors.", files)
        gauge("process_max_fds", "How many file descriptors may be open.", limit.map(String.init))
        guard let usage = Usage() else { return text.text }
        gauge("process_cpu_seconds_total", "Time on all processors.", MetricsText.seconds(usage.cpu), "counter")
        gauge("process_resident_memory_bytes", "Resident memory.", String(usage.residentBytes))
        gauge("process_virtual_memory_bytes", "Virtual memory.", String(usage.virtualBytes))
        gauge(
            "process_start_time_seconds", "When the process began, in seconds since 1970.",
            bootSeconds().map { MetricsText.seconds($0 * 1_000_000_000 + usage.start) })
        return text.text
    }

    /// Of `/proc/self/stat`; times in nanoseconds.
    private struct Usage {
        var cpu: Int64
        /// Since the machine was started.
        var start: Int64
        var virtualBytes: Int64
        var residentBytes: Int64

        init?() {
            // The name, in parentheses, may hold anything.
            guard let text = ProcessMetrics.read("/proc/self/stat"), let name = text.lastIndex(of: ")") else {
                return nil
            }
            // proc(5) counts from 1, the state behind the name is 3.
            let fields = text[text.index(after: name)...].split(separator: " ").map { Int64($0) ?? 0 }
            guard fields.count > 21 else { return nil }
            let tick = 1_000_000_000 / Int64(sysconf(Int32(_SC_CLK_TCK)))
            cpu = (fields[14 - 3] + fields[15 - 3]) * tick
            start = fields[22 - 3] * tick
            virtualBytes = fields[23 - 3]
            residentBytes = fields[24 - 3] * Int64(sysconf(Int32(_SC_PAGESIZE)))
        }
    }

    /// When the machine was started.
    private static func bootSeconds() -> Int64? {
        let line = read("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Int64($0.dropFirst("btime ".count)) }
    }

    private static func openFilesMax() -> UInt64? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return UInt64(limit.rlim_cur)
    }

    private static func openFiles() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Neither ".", ".." nor the directory itself.
        return count - 3
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = fread(&part, 1, part.count, file)
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
