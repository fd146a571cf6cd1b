package import Primitives

// Members' messages as bytes. What comes out of `decode` has the shape that `RaftNode.step` relies upon: entries in
// sequence, terms in order, configurations readable, numbers far from overflow.
extension Message {
    private static let formatVersion: UInt8 = 1
    /// Indexes and terms beyond this are nonsense and would endanger arithmetic.
    private static let numberMax = UInt64(1) << 60

    private enum Tag: UInt8 {
        case preVote = 1
        case preVoteResponse = 2
        case requestVote = 3
        case voteResponse = 4
        case append = 5
        case appendAccepted = 6
        case appendRejected = 7
        case heartbeat = 8
        case heartbeatResponse = 9
        case readIndex = 10
        case readIndexResponse = 11
        case readIndexRefused = 12
        case timeoutNow = 13
    }

    /// Appends the message: version, kind, sender, receiver, term, mark, then what the kind needs.
    package func encode(into writer: inout ByteWriter) {
        writer.byte(Message.formatVersion)
        writer.byte(tag.rawValue)
        writer.fixed64(from.number)
        writer.fixed64(to.number)
        writer.varint(term.number)
        writer.bool(isRecovering)
        switch body {
        case .preVote(let last): Message.encode(last, into: &writer)
        case .preVoteResponse(let granted), .voteResponse(let granted): writer.bool(granted)
        case .requestVote(let last, let transfer):
            Message.encode(last, into: &writer)
            writer.bool(transfer)
        case .append(let previous, let entries, let commit, let readPosition):
            Message.encode(previous, into: &writer)
            writer.varint(commit.number)
            writer.varint(readPosition)
            Message.encode(entries, into: &writer)
        case .appendAccepted(let match, let readPosition):
            writer.varint(match.number)
            writer.varint(readPosition)
        case .appendRejected(let rejected, let hint, let readPosition):
            writer.varint(rejected.number)
            Message.encode(hint, into: &writer)
            writer.varint(readPosition)
        case .heartbeat(let commit, let readPosition):
            writer.varint(commit.number)
            writer.varint(readPosition)
        case .heartbeatResponse(let readPosition): writer.varint(readPosition)
        case .readIndex(let id), .readIndexRefused(let id): writer.varint(id)
        case .readIndexResponse(let id, let index):
            writer.varint(id)
            writer.varint(index.number)
        case .timeoutNow: break
        }
    }

    /// Reads one message and checks its shape.
    ///
    /// - Throws: `truncated`, `invalid` or `newerVersion`, naming the field.
    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> Message {
        let version = try reader.byte("message.version")
        guard version <= formatVersion else {
            throw .newerVersion(found: UInt64(version), known: UInt64(formatVersion))
        }
        guard version == formatVersion else { throw .invalid("message.version") }
        guard let tag = Tag(rawValue: try reader.byte("message.kind")) else { throw .invalid("message.kind") }
        let from = MemberID(try reader.fixed64("message.from"))
        let to = MemberID(try reader.fixed64("message.to"))
        let term = Term(try number("message.term", from: &reader))
        let isRecovering = try reader.bool("message.isRecovering")
        let body = try decodeBody(tag, term: term, from: &reader)
        return Message(from: from, to: to, term: term, body: body, isRecovering: isRecovering)
    }

    private var tag: Tag {
        switch body {
        case .preVote: .preVote
        case .preVoteResponse: .preVoteResponse
        case .requestVote: .requestVote
        case .voteResponse: .voteResponse
        case .append: .append
        case .appendAccepted: .appendAccepted
        case .appendRejected: .appendRejected
        case .heartbeat: .heartbeat
        case .heartbeatResponse: .heartbeatResponse
        case .readIndex: .readIndex
        case .readIndexResponse: .readIndexResponse
        case .readIndexRefused: .readIndexRefused
        case .timeoutNow: .timeoutNow
        }
    }

    private static func decodeBody(
        _ tag: Tag, term: Term, from reader: inout ByteReader
    ) throws(DecodingFailure) -> Body {
        switch tag {
        case .preVote: return .preVote(last: try position("preVote.last", from: &reader))
        case .preVoteResponse: return .preVoteResponse(granted: try reader.bool("preVoteResponse.granted"))
        case .requestVote:
            let last = try position("requestVote.last", from: &reader)
            return .requestVote(last: last, transfer: try reader.bool("requestVote.transfer"))
        case .voteResponse: return .voteResponse(granted: try reader.bool("voteResponse.granted"))
        case .append: return try decodeAppend(term: term, from: &reader)
        case .appendAccepted:
            let match = try index("appendAccepted.match", from: &reader)
            return .appendAccepted(match: match, readPosition: try reader.varint("appendAccepted.readPosition"))
        case .appendRejected:
            let rejected = try index("appendRejected.rejected", from: &reader)
            let hint = try position("appendRejected.hint", from: &reader)
            let read = try reader.varint("appendRejected.readPosition")
            return .appendRejected(rejected: rejected, hint: hint, readPosition: read)
        case .heartbeat:
            let commit = try index("heartbeat.commit", from: &reader)
            return .heartbeat(commit: commit, readPosition: try reader.varint("heartbeat.readPosition"))
        case .heartbeatResponse:
            return .heartbeatResponse(readPosition: try reader.varint("heartbeatResponse.readPosition"))
        case .readIndex: return .readIndex(id: try reader.varint("readIndex.id"))
        case .readIndexResponse:
            let id = try reader.varint("readIndexResponse.id")
            return .readIndexResponse(id: id, index: try index("readIndexResponse.index", from: &reader))
        case .readIndexRefused: return .readIndexRefused(id: try reader.varint("readIndexRefused.id"))
        case .timeoutNow: return .timeoutNow
        }
    }

    private static func decodeAppend(
        term: Term, from reader: inout ByteReader
    ) throws(DecodingFailure) -> Body {
        let previous = try position("append.previous", from: &reader)
        let commit = try index("append.commit", from: &reader)
        let readPosition = try reader.varint("append.readPosition")
        // An entry takes at least its term, kind and length: one byte each.
        let count = try reader.count("append.entries", unit: 3)
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        var last = previous
        for _ in 0..<count {
            let entryTerm = Term(try number("entry.term", from: &reader))
            guard entryTerm >= last.term, entryTerm <= term else { throw .invalid("entry.term") }
            guard let kind = Entry.Kind(rawValue: try reader.byte("entry.kind")) else {
                throw .invalid("entry.kind")
            }
            let payload = try reader.prefixed("entry.payload")
            if kind == .configuration { _ = try ConfigurationEntry.decode(payload) }
            last = LogPosition(index: last.index.next, term: entryTerm)
            entries.append(Entry(index: last.index, term: entryTerm, kind: kind, payload: payload))
        }
        guard previous.term <= term else { throw .invalid("append.previous") }
        return .append(previous: previous, entries: entries, commit: commit, readPosition: readPosition)
    }

    // MARK: - Parts

    private static func encode(_ position: LogPosition, into writer: inout ByteWriter) {
        writer.varint(position.index.number)
        writer.varint(position.term.number)
    }

    /// Indexes are not written: they follow from the position before.
    private static func encode(_ entries: [Entry], into writer: inout ByteWriter) {
        writer.varint(UInt64(entries.count))
        for entry in entries {
            writer.varint(entry.term.number)
            writer.byte(entry.kind.rawValue)
            writer.prefixed(entry.payload)
        }
    }

    private static func number(
        _ field: String, from reader: inout ByteReader
    ) throws(DecodingFailure) -> UInt64 {
        let value = try reader.varint(field)
        guard value <= numberMax else { throw .invalid(field) }
        return value
    }

    private static func index(
        _ field: String, from reader: inout ByteReader
    ) throws(DecodingFailure) -> LogIndex {
        LogIndex(try number(field, from: &reader))
    }

    private static func position(
        _ field: String, from reader: inout ByteReader
    ) throws(DecodingFailure) -> LogPosition {
        let index = LogIndex(try number(field, from: &reader))
        return LogPosition(index: index, term: Term(try number(field, from: &reader)))
    }
}
