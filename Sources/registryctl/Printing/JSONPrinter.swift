import RegistryClient

/// `-w json`: etcd's messages as Go's encoder writes them, one document a line.
struct JSONPrinter: Printer {
    private func line(_ object: JSONObject) -> [UInt8] {
        Array((object.text + "\n").utf8)
    }

    private func fill(_ object: inout JSONObject, _ header: ResponseHeader) {
        object.number("cluster_id", header.clusterID)
        object.number("member_id", header.memberID)
        object.number("revision", header.revision)
        object.number("raft_term", header.raftTerm)
    }

    private func header(_ header: ResponseHeader) -> String {
        var object = JSONObject()
        fill(&object, header)
        return object.text
    }

    private func pair(_ pair: KeyValue) -> JSONObject {
        var object = JSONObject()
        object.bytes("key", pair.key)
        object.number("create_revision", pair.createRevision)
        object.number("mod_revision", pair.modRevision)
        object.number("version", pair.version)
        object.bytes("value", pair.value)
        object.number("lease", pair.lease.rawValue)
        return object
    }

    private func object(_ result: RangeResult) -> JSONObject {
        var object = JSONObject()
        object.raw("header", header(result.header))
        object.objects("kvs", result.kvs.map(pair))
        object.flag("more", result.more)
        object.number("count", result.count)
        return object
    }

    private func object(_ result: PutResult) -> JSONObject {
        var object = JSONObject()
        object.raw("header", header(result.header))
        if let previous = result.previous { object.raw("prev_kv", pair(previous).text) }
        return object
    }

    private func object(_ result: DeleteResult) -> JSONObject {
        var object = JSONObject()
        object.raw("header", header(result.header))
        object.number("deleted", result.deleted)
        object.objects("prev_kvs", result.previous.map(pair))
        return object
    }

    private func object(_ result: TxnResult) -> JSONObject {
        var object = JSONObject()
        object.raw("header", header(result.header))
        object.flag("succeeded", result.succeeded)
        object.objects("responses", result.responses.map(response))
        return object
    }

    private func response(_ result: TxnOperationResult) -> JSONObject {
        var inner = JSONObject()
        switch result {
        case .range(let result): inner.raw("ResponseRange", object(result).text)
        case .put(let result): inner.raw("ResponsePut", object(result).text)
        case .delete(let result): inner.raw("ResponseDeleteRange", object(result).text)
        case .txn(let result): inner.raw("ResponseTxn", object(result).text)
        }
        var outer = JSONObject()
        outer.raw("Response", inner.text)
        return outer
    }

    func get(_ result: RangeResult) -> [UInt8] { line(object(result)) }
    func put(_ result: PutResult) -> [UInt8] { line(object(result)) }
    func delete(_ result: DeleteResult) -> [UInt8] { line(object(result)) }
    func txn(_ result: TxnResult) -> [UInt8] { line(object(result)) }

    func watch(_ batch: WatchBatch) -> [UInt8] {
        let events = batch.events.map { event in
            var object = JSONObject()
            if event.kind == .delete { object.raw("type", "1") }
            object.raw("kv", pair(event.kv).text)
            if let previous = event.previous { object.raw("prev_kv", pair(previous).text) }
            return object.text
        }
        return watch(batch.header, events, compactRevision: 0, isCanceled: false)
    }

    func watchCanceled(compactRevision: Int64) -> [UInt8] {
        watch(ResponseHeader(), [], compactRevision: compactRevision, isCanceled: true)
    }

    private func watch(
        _ header: ResponseHeader, _ events: [String], compactRevision: Int64, isCanceled: Bool
    ) -> [UInt8] {
        var object = JSONObject()
        object.raw("Header", self.header(header))
        object.raw("Events", JSONText.array(events))
        object.raw("CompactRevision", "\(compactRevision)")
        object.raw("Canceled", "\(isCanceled)")
        object.raw("Created", "false")
        return line(object)
    }

    func grant(_ result: LeaseGrantResult) -> [UInt8] {
        var object = JSONObject()
        fill(&object, result.header)
        object.raw("ID", "\(result.id.rawValue)")
        object.raw("TTL", "\(result.ttlSeconds)")
        object.raw("Error", "\"\"")
        return line(object)
    }

    func revoke(_ id: LeaseID, _ header: ResponseHeader) -> [UInt8] {
        var object = JSONObject()
        object.raw("header", self.header(header))
        return line(object)
    }

    func keepAlive(_ result: LeaseKeepAliveResult) -> [UInt8] {
        var object = JSONObject()
        fill(&object, result.header)
        object.raw("ID", "\(result.id.rawValue)")
        object.raw("TTL", "\(result.ttlSeconds)")
        return line(object)
    }

    func timeToLive(_ result: LeaseTimeToLiveResult, keys: Bool) -> [UInt8] {
        var object = JSONObject()
        fill(&object, result.header)
        object.raw("id", "\(result.id.rawValue)")
        object.raw("ttl", "\(result.ttlSeconds)")
        object.raw("granted-ttl", "\(result.grantedTTLSeconds)")
        object.raw("keys", result.keys.isEmpty ? "null" : JSONText.array(result.keys.map(JSONText.base64)))
        return line(object)
    }

    func leases(_ result: LeaseListResult) -> [UInt8] {
        var object = JSONObject()
        fill(&object, result.header)
        object.raw("leases", JSONText.array(result.leases.map { "{\"id\":\($0.rawValue)}" }))
        return line(object)
    }

    func members(_ result: MemberListResult) -> [UInt8] {
        var object = JSONObject()
        object.raw("header", header(result.header))
        object.objects(
            "members",
            result.members.map(self.object))
        return line(object)
    }

    private func object(_ member: Member) -> JSONObject {
        var object = JSONObject()
        object.number("ID", member.id)
        object.string("name", member.name)
        object.strings("peerURLs", member.peerURLs)
        object.strings("clientURLs", member.clientURLs)
        object.flag("isLearner", member.isLearner)
        return object
    }

    func added(_ result: MemberAddResult) -> [UInt8] {
        var object = JSONObject()
        object.raw("header", header(result.header))
        object.raw("member", self.object(result.member).text)
        object.objects("members", result.members.map(self.object))
        return line(object)
    }

    func alarms(_ result: AlarmResult) -> [UInt8] {
        var object = JSONObject()
        if let header = result.header { object.raw("header", self.header(header)) }
        object.objects(
            "alarms",
            result.alarms.map { alarm in
                var object = JSONObject()
                object.number("memberID", alarm.memberID)
                object.number("alarm", alarm.kind.rawValue)
                return object
            })
        return line(object)
    }

    func health(_ results: [EndpointHealth]) -> [UInt8] {
        lines(
            results.map { health in
                var object = JSONObject()
                object.raw("endpoint", JSONText.string(health.endpoint))
                object.raw("health", "\(health.error == nil)")
                object.raw("took", JSONText.string(GoText.duration(health.took)))
                object.string("error", health.error ?? "")
                return object
            })
    }

    func status(_ results: [EndpointStatus]) -> [UInt8] {
        lines(
            results.map { result in
                var object = JSONObject()
                object.raw("Endpoint", JSONText.string(result.endpoint))
                object.raw("Status", status(result.status).text)
                return object
            })
    }

    private func status(_ status: StatusResult) -> JSONObject {
        var object = JSONObject()
        object.raw("header", header(status.header))
        object.string("version", status.version)
        object.number("dbSize", status.dbSize)
        object.number("leader", status.leader)
        object.number("raftIndex", status.raftIndex)
        object.number("raftTerm", status.raftTerm)
        object.number("raftAppliedIndex", status.raftAppliedIndex)
        object.strings("errors", status.errors)
        object.number("dbSizeInUse", status.dbSizeInUse)
        object.flag("isLearner", status.isLearner)
        return object
    }

    private func lines(_ objects: [JSONObject]) -> [UInt8] {
        Array((JSONText.array(objects.map(\.text)) + "\n").utf8)
    }
}
