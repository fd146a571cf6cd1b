/// One prefix watched in one registry, by number; numbers are never reused. Services that read the same path share it.
package struct WatchID: Hashable, Comparable, Sendable {
    package let number: Int

    package init(_ number: Int) { self.number = number }
    package static func < (left: WatchID, right: WatchID) -> Bool { left.number < right.number }
}

/// One batch of runtime-socket commands or one file operation; the answer carries the same number.
package struct JobID: Hashable, Comparable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
    package static func < (left: JobID, right: JobID) -> Bool { left.number < right.number }
}

/// One registration as the registry holds it.
package struct DiscoveryEntry: Equatable, Sendable {
    package var key: [UInt8]
    package var value: [UInt8]
    package var createRevision: Int64
    package var modRevision: Int64

    package init(key: [UInt8], value: [UInt8], createRevision: Int64, modRevision: Int64) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
    }
}

/// One change seen by a watch.
package enum DiscoveryChange: Equatable, Sendable {
    case put(DiscoveryEntry)
    case delete(key: [UInt8], modRevision: Int64)
}

/// Where a watch can go on without reading everything again.
package struct ResumePoint: Equatable, Sendable {
    /// The cluster it was read from.
    package var cluster: UInt64
    /// Everything up to and including this revision is known.
    package var revision: Int64

    package init(cluster: UInt64, revision: Int64) {
        self.cluster = cluster
        self.revision = revision
    }
}

/// What to watch.
package struct WatchRequest: Equatable, Sendable {
    package var endpoints: RegistryEndpoints
    /// Every key that begins with these bytes; ends in a slash.
    package var prefix: [UInt8]
    /// When set: if the registry's cluster id is the same, its revision not smaller, and the history not compacted,
    /// watch from `revision` + 1 and send events only. Otherwise read a snapshot first.
    package var resume: ResumePoint?

    package init(endpoints: RegistryEndpoints, prefix: [UInt8], resume: ResumePoint?) {
        self.endpoints = endpoints
        self.prefix = prefix
        self.resume = resume
    }
}

/// How writing the configuration ended.
package enum WriteResult: Equatable, Sendable {
    case written
    /// `checkCommand` failed; the old file stands. With its output.
    case refused(String)
    case failed(String)
}

/// What happened, as the shell tells it.
package enum SynapseEvent: Equatable, Sendable {
    /// Always the first event: the bytes of the state file and the text of the configuration file, when there are any.
    case started(stateFile: [UInt8]?, configurationText: String?)
    /// Everything under the watch's prefix at `revision`, by a linearizable read; the watch goes on from there.
    case discoverySnapshot(WatchID, cluster: UInt64, revision: Int64, entries: [DiscoveryEntry])
    /// The changes up to and including `revision`, in order, none left out since the snapshot or the resume point.
    /// An empty list says only that everything up to `revision` is known.
    case discoveryEvents(WatchID, cluster: UInt64, revision: Int64, changes: [DiscoveryChange])
    /// The registry does not answer. The shell keeps trying, resuming from the last revision sent.
    case discoveryUnavailable(WatchID, String)
    /// The history the watch needs is gone; a snapshot follows when the registry answers.
    case discoveryCompacted(WatchID)
    /// The reply to each command, whole, in order.
    case socketReplies(JobID, [String])
    /// The socket could not be used for at least one of the commands.
    case socketFailed(JobID, String)
    case configurationWritten(JobID, WriteResult)
    /// The reload command ended.
    case reloadFinished(JobID, succeeded: Bool, output: String)
    /// The state file was written, or why not.
    case stateSaved(JobID, failure: String?)
    /// The file was read again and is valid.
    case configurationRead(SynapseConfiguration)
    /// `nextDeadline` passed.
    case timer
    /// Save the state and end. HAProxy keeps its configuration.
    case shutdown
}

/// What the shell is to do. Jobs are answered exactly once with the same number.
package enum SynapseOrder: Equatable, Sendable {
    case startWatch(WatchID, WatchRequest)
    /// No more events of it are wanted.
    case stopWatch(WatchID)
    /// Send each command on a connection of its own (line end added), read each reply to its end. At the first that
    /// cannot be sent or read within 2 s, stop and answer `socketFailed`.
    case socketCommands(JobID, socketPath: String, commands: [String])
    /// Write `text` to `candidatePath`, run `checkCommand` if there is one, rename over `path`, fsync.
    case writeConfiguration(JobID, text: String, path: String, candidatePath: String, checkCommand: String?)
    /// Run the reload command through a shell.
    case reload(JobID, command: String, reason: String)
    /// Write to a temporary file beside `path`, fsync, rename.
    case saveState(JobID, path: String, bytes: [UInt8])
    /// To be logged; the same decisions are in `SynapseCore.log`.
    case report(Decision)
    /// After `shutdown`: nothing is left to do.
    case finished
}
