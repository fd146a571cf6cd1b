import CNghttp2
import NIOCore

/// When output goes out.
extension HTTP2Connection {
    func markDirty(_ stream: HTTP2Stream) {
        guard !stream.isDirty else { return }
        stream.isDirty = true
        dirty.append(stream)
        scheduleFlush()
    }

    /// One flush per turn: at the end of the read in progress, or once after everything else queued on the loop now.
    func scheduleFlush() {
        guard !isReading, !isFlushing, !isFlushScheduled, !isClosed else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.flush()
        }
    }

    /// Submits what consumers queued, pulls what the library may send now and writes it, as few times as possible.
    func flush() {
        guard !isFlushing, let context, session != nil, !isClosed else { return }
        isFlushing = true
        enterLibrary()
        defer {
            isFlushing = false
            leaveLibrary()
        }
        var budget = HTTP2Options.outputTurnBytes
        while context.channel.isWritable, !isClosed {
            guard pull() else { break }
            dispatch()
            let written = pulled.readableBytes
            if written >= HTTP2Options.outputChunkBytes {
                write(context)
                budget -= written
                if budget <= 0 {
                    isFlushing = false
                    scheduleFlush()
                    break
                }
            } else if dirty.isEmpty {
                break
            }
        }
        if pulled.readableBytes > 0, !isClosed {
            write(context)
        }
        updateReadHold(context)
        closeIfDone()
    }

    private func write(_ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(pulled), promise: nil)
        // Small storage is used again if the socket took it all; an idle connection keeps no large one.
        if pulled.storageCapacity <= 8 * 1024 {
            pulled.clear()
        } else {
            pulled = ByteBuffer()
        }
    }

    /// A peer that sends and does not read makes the library queue acknowledgements and resets: stop reading it.
    private func updateReadHold(_ context: ChannelHandlerContext) {
        guard let session else { return }
        let queued = nghttp2_session_get_outbound_queue_size(session)
        holdsReads = !context.channel.isWritable && queued > HTTP2Options.outboundFramesMax
        if !holdsReads, readWasHeld {
            readWasHeld = false
            context.read()
        }
    }
}
