import CNghttp2
import NIOCore

/// Fired into a channel to end it gracefully: no new calls, running ones may finish.
struct ShutdownRequested {}

/// Fired into a channel when the time for that is over.
struct ShutdownDeadlinePassed {}

/// Signs of life, idle connections, deadlines of calls, graceful shutdown. Two timers a connection at most, none a call.
extension HTTP2Connection {
    // MARK: Keepalive and idle time

    func scheduleMaintenance() {
        guard !isClosed else { return }
        var due: NIODeadline?
        if let interval = options.keepaliveInterval {
            due = pingSentAt.map { $0 + options.keepaliveTimeout } ?? lastRead + interval
        }
        if let idle = options.idleTimeout, streams.isEmpty {
            due = min(due ?? .distantFuture, lastStreamEnd + idle)
        } else if let idle = options.idleTimeout {
            due = min(due ?? .distantFuture, eventLoop.now + idle)
        }
        guard let due else { return }
        maintenanceTimer = eventLoop.assumeIsolated().scheduleTask(deadline: max(due, eventLoop.now + .milliseconds(1)))
        {
            self.maintain()
        }
    }

    private func maintain() {
        guard !isClosed, let session else { return }
        let now = eventLoop.now
        if let idle = options.idleTimeout, streams.isEmpty, now - lastStreamEnd >= idle {
            terminate(.noError, "connection idle")
            return
        }
        if let interval = options.keepaliveInterval {
            if let sent = pingSentAt {
                if now - sent >= options.keepaliveTimeout {
                    fail(
                        "keepalive: no answer from the peer within \(options.keepaliveTimeout.nanoseconds / 1_000_000) ms"
                    )
                    return
                }
            } else if now - lastRead >= interval {
                if options.keepaliveWithoutStreams || !streams.isEmpty {
                    nghttp2_submit_ping(session, 0, nil)
                    pingSentAt = now
                    scheduleFlush()
                } else {
                    lastRead = now
                }
            }
        }
        scheduleMaintenance()
    }

    /// A peer may not keep us busy with pings. An answer sent since the last ping makes the next one legitimate: that is
    /// how clients measure the path.
    ///
    /// Source: grpc-go, `http2_server.go`, `handlePing`.
    func peerPinged() {
        guard role == .server else { return }
        if sentSincePing {
            sentSincePing = false
            pingStrikes = 0
        } else if let lastPeerPing, lastRead - lastPeerPing < options.peerPingIntervalMin {
            pingStrikes += 1
            if pingStrikes > 2 {
                terminate(.enhanceYourCalm, "too_many_pings")
            }
        }
        lastPeerPing = lastRead
    }

    func peerAnsweredPing() {
        if shutdownAnnounced {
            sendFinalGoAway()
        }
    }

    // MARK: Deadlines

    /// Sets when a call is over. One timer serves all calls: most end long before it fires.
    func setDeadline(_ deadline: NIODeadline, _ stream: HTTP2Stream) {
        stream.deadline = deadline
        guard deadline < deadlineTimerAt else { return }
        deadlineTimer?.cancel()
        deadlineTimerAt = deadline
        deadlineTimer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.expireDeadlines()
        }
    }

    private func expireDeadlines() {
        deadlineTimerAt = .distantFuture
        let now = eventLoop.now
        var next = NIODeadline.distantFuture
        var expired: [HTTP2Stream] = []
        for stream in allStreams {
            guard let deadline = stream.deadline else { continue }
            if deadline <= now {
                expired.append(stream)
            } else {
                next = min(next, deadline)
            }
        }
        if next < .distantFuture {
            deadlineTimerAt = next
            deadlineTimer = eventLoop.assumeIsolated().scheduleTask(deadline: next) { self.expireDeadlines() }
        }
        for stream in expired where stream.connection != nil {
            stream.deadline = nil
            stream.consumer?.deadlinePassed()
        }
    }

    // MARK: Graceful shutdown

    /// Tells the peer to open no more streams, then closes once the open ones are done.
    ///
    /// Source: RFC 9113 §6.8: a first GOAWAY that refuses nothing yet, the real one a round trip later.
    func beginShutdown() {
        guard !isShuttingDown, !isClosed, let session else { return }
        isShuttingDown = true
        guard role == .server, !streams.isEmpty else {
            sendFinalGoAway()
            return
        }
        nghttp2_submit_shutdown_notice(session)
        nghttp2_submit_ping(session, 0, nil)
        shutdownAnnounced = true
        for stream in allStreams {
            stream.consumer?.shutdownStarted()
        }
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.sendFinalGoAway() }
        scheduleFlush()
    }

    private func sendFinalGoAway() {
        guard let session, !shutdownGoAwaySent, !isClosed else { return }
        shutdownGoAwaySent = true
        nghttp2_submit_goaway(session, 0, nghttp2_session_get_last_proc_stream_id(session), 0, nil, 0)
        scheduleFlush()
    }

    /// Open streams in the order they were opened.
    var allStreams: [HTTP2Stream] {
        streams.values.sorted { $0.id < $1.id } + dirty.filter { $0.id < 0 }
    }
}
