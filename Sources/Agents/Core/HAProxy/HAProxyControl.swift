import Primitives

/// Keeps HAProxy at the wanted servers: over its sockets where that can be done, by file and reload where it cannot.
struct HAProxyControl: Sendable {
    /// One runtime socket.
    struct Channel: Sendable {
        let path: String
        var driver = RuntimeDriver()
        var job: JobID?
        var isMarkerRun = false
        /// The next run is not before.
        var retryAt = Instant.zero
        /// When everything is read again although nothing changed. Runs over what did change do not put it off.
        var auditAt = Instant.zero
        /// When servers left in maintenance are tried again.
        var lingerAt = Instant.distantFuture
        var lingerBackoff = Backoff(base: .milliseconds(200), limit: .seconds(10))
        var failureBackoff = Backoff(base: .milliseconds(100), limit: .seconds(5))
        var failingSince: Instant?
        var hasAnswered = false
        /// Failing for so long that HAProxy is taken for not running.
        var isDead = false
        /// In the reload under way: the new worker has answered.
        var isConfirmed = false
        var lastVerdict: RuntimeDriver.Verdict?
    }

    /// The configuration file.
    struct File: Sendable {
        /// Its text as far as known.
        var text: String?
        /// Of `version`; nothing written yet is 0.
        var version: Int64 = 0
        var serial: Int64 = 0
        /// The servers in it.
        var backends: [DesiredBackend] = []
        var writing: Writing?
        /// Writes are spaced, except for a reload that waits.
        var notBefore = Instant.zero
        /// After a failure.
        var holdUntil = Instant.zero
        /// The reload before which it was brought up to date.
        var freshenedFor: Int64 = 0
        /// What the check refused, and until when it is not tried again.
        var refused: (version: Int64, until: Instant)?
    }

    struct Writing: Sendable {
        var job: JobID
        var text: String
        var backends: [DesiredBackend]
        var version: Int64
        var serial: Int64
    }

    struct Attempt: Sendable {
        var marker: String
        var backends: [DesiredBackend]
        var version: Int64
        var reasons: [String]
    }

    enum Reload: Sendable {
        /// To `running` when there are reasons, the file says it and the interval is over.
        case idle
        /// To `confirming` when the command succeeded and there are sockets to ask, else to `idle`.
        case running(JobID, Attempt)
        /// To `idle` when every socket shows the new marker, or at the instant.
        case confirming(Attempt, until: Instant)
    }

    static let auditInterval = TimeSpan.seconds(30)
    /// Behind a write of the file. A HAProxy that was started since the change that the file tells of has loaded the
    /// one before, and lacks what it was told; nothing else says that it is not the same any more.
    static let auditAfterWrite = TimeSpan.seconds(3)
    /// A client of the socket that is refused tries again for this long before HAProxy counts as not running.
    static let deadAfter = TimeSpan.seconds(2)
    /// The same for a socket that never answered since the agent started.
    static let deadAtStartAfter = TimeSpan.milliseconds(500)
    static let confirmationLimit = TimeSpan.seconds(10)
    static let reasonsMax = 16
    static let writeSpacing = TimeSpan.seconds(1)

    private(set) var configuration: HAProxyConfiguration
    private(set) var layout: HAProxyLayout
    private(set) var desired = SortedMap<String, DesiredBackend>()
    /// Server lines of the file found at the start, for backends about which nothing is known.
    private var kept = SortedMap<String, [String]>()
    /// Counts changes of what is wanted.
    private(set) var version: Int64 = 1
    /// Counts reloads; part of the marker.
    var serial: Int64 = 1
    /// The version HAProxy was last started with, as far as known.
    var loadedVersion: Int64 = 0
    var channels: [Channel] = []
    var file = File()
    var reload = Reload.idle
    var reloadReasons: [String] = []
    var reloadNotBefore = Instant.zero
    var reloadBackoff: Backoff
    /// What the last completed reload was for, at which version: the same again would not help.
    var lastReload: (reasons: [String], version: Int64)?
    /// Numbers the drivers gave; taken by the owner.
    var assigned: [RuntimeDriver.Number] = []
    /// Reloads ordered since the start.
    var reloadCount: Int64 = 0

    init(_ configuration: SynapseConfiguration) {
        self.configuration = configuration.haproxy
        layout = HAProxyLayout(configuration)
        reloadBackoff = HAProxyControl.backoff(configuration.haproxy)
        if configuration.haproxy.doesSocket {
            channels = configuration.haproxy.socketPaths.map { Channel(path: $0) }
        }
    }

    private static func backoff(_ configuration: HAProxyConfiguration) -> Backoff {
        let base = max(configuration.restartInterval, .seconds(1))
        return Backoff(base: base, limit: max(base, .seconds(300)))
    }

    /// The file as it stood when the agent started.
    mutating func found(configurationText text: String) {
        file.text = text
        kept = HAProxyLayout.serverLines(in: text)
        if let marker = HAProxyLayout.marker(in: text), let found = layout.serial(ofMarker: marker) { serial = found }
        for place in channels.indices { channels[place].driver.loaded(configurationText: text) }
    }

    /// Takes over another configuration; servers are wanted anew by `want`.
    mutating func adopt(_ next: SynapseConfiguration, at now: Instant, _ effects: inout SynapseEffects) {
        configuration = next.haproxy
        let digest = layout.digest
        layout = HAProxyLayout(next)
        if layout.digest != digest { needReload("the configuration changed", at: now, &effects) }
        reloadBackoff = HAProxyControl.backoff(next.haproxy)
        version += 1
        let paths = next.haproxy.doesSocket ? next.haproxy.socketPaths : []
        channels = paths.map { path in channels.first { $0.path == path } ?? Channel(path: path) }
        let names = layout.services.map(\.backendName)
        desired.removeAll { name, _ in !names.contains(name) }
        for place in channels.indices {
            channels[place].driver.keep(only: names)
            channels[place].driver.recheckAll()
            channels[place].auditAt = .zero
        }
    }

    mutating func want(_ backend: DesiredBackend) {
        guard desired[backend.name] != backend else { return }
        desired[backend.name] = backend
        version += 1
        for place in channels.indices { channels[place].driver.want(backend) }
    }

    /// The file as it should be now.
    var text: String { layout.text(desired, serial: serial, kept: kept) }

    var isConfirming: Bool {
        if case .confirming = reload { return true }
        return false
    }

    /// Whether a change would be acted on at once.
    var canTakeChanges: Bool {
        guard case .idle = reload else { return false }
        return channels.contains { $0.job == nil }
    }

    var nextDeadline: Instant {
        var next = Instant.distantFuture
        for channel in channels where channel.job == nil {
            switch reload {
            case .running: break
            case .confirming: if !channel.isConfirmed { next = min(next, channel.retryAt) }
            case .idle:
                if channel.driver.hasWork { next = min(next, channel.retryAt) }
                next = min(next, max(min(channel.auditAt, channel.lingerAt), channel.retryAt))
            }
        }
        if isWriteDue, file.writing == nil { next = min(next, writeTime) }
        if case .confirming(_, let until) = reload { next = min(next, until) }
        // A socket that does not answer yet holds a reload up; its answer, or its end, comes as an event.
        if case .idle = reload, isReloadReady, channels.allSatisfy({ $0.job == nil }) {
            next = min(next, reloadNotBefore)
        }
        return next
    }

    /// Does what is due.
    mutating func advance(at now: Instant, _ effects: inout SynapseEffects) {
        expireConfirmation(at: now, &effects)
        runChannels(at: now, &effects)
        noteUnreachableChanges(at: now, &effects)
        write(at: now, &effects)
        startReload(at: now, &effects)
    }

    // MARK: File

    var isWriteDue: Bool {
        configuration.doesWrites && (file.version != version || file.serial != serial)
    }

    /// A text that was refused waits; a new one does not.
    private var writeTime: Instant {
        let isUrgent = !reloadReasons.isEmpty && file.serial != serial
        let spaced = isUrgent ? file.holdUntil : max(file.holdUntil, file.notBefore)
        guard let refused = file.refused, refused.version == version else { return spaced }
        return max(spaced, refused.until)
    }

    private mutating func write(at now: Instant, _ effects: inout SynapseEffects) {
        guard isWriteDue, file.writing == nil, writeTime <= now else { return }
        writeNow(&effects)
    }

    mutating func writeNow(_ effects: inout SynapseEffects) {
        guard let path = configuration.configFilePath else { return }
        let text = self.text
        if text == file.text {
            (file.version, file.serial, file.backends) = (version, serial, desired.values)
            return
        }
        let job = effects.nextJob()
        file.writing = Writing(job: job, text: text, backends: desired.values, version: version, serial: serial)
        effects.orders.append(
            .writeConfiguration(
                job, text: text, path: path, candidatePath: configuration.candidatePath ?? path + ".tmp",
                checkCommand: configuration.checkCommand))
    }

    mutating func configurationWritten(
        _ job: JobID, _ result: WriteResult, at now: Instant, _ effects: inout SynapseEffects
    ) {
        guard let writing = file.writing, writing.job == job else { return }
        file.writing = nil
        switch result {
        case .written:
            (file.text, file.backends) = (writing.text, writing.backends)
            (file.version, file.serial) = (writing.version, writing.serial)
            file.notBefore = now + HAProxyControl.writeSpacing
            for place in channels.indices {
                channels[place].auditAt = min(channels[place].auditAt, now + HAProxyControl.auditAfterWrite)
            }
            effects.report("haproxy", .configurationWritten, at: now)
        case .refused(let output):
            // The old file stands. The next change is tried soon, the same text only once in a while.
            file.holdUntil = now + HAProxyControl.writeSpacing
            file.refused = (writing.version, now + .seconds(60))
            effects.report("haproxy", .configurationRefused, String(output.prefix(400)), at: now)
        case .failed(let why):
            file.holdUntil = now + .seconds(5)
            effects.report("haproxy", .writeFailed, why, at: now)
        }
    }
}
