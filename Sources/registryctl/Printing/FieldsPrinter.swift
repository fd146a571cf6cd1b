import RegistryClient

/// `-w fields`: `"Name" : value`, one a line.
struct FieldsPrinter: Printer {
    private func header(_ header: ResponseHeader, _ out: inout Output) {
        field("ClusterID", "\(header.clusterID)", &out)
        field("MemberID", "\(header.memberID)", &out)
        field("Revision", "\(header.revision)", &out)
        field("RaftTerm", "\(header.raftTerm)", &out)
    }

    private func field(_ name: String, _ value: String, _ out: inout Output) {
        out.line("\"\(name)\" : \(value)")
    }

    private func quoted(_ name: String, _ value: [UInt8], _ out: inout Output) {
        out.line(Array("\"\(name)\" : ".utf8) + GoText.quoted(value))
    }

    private func quoted(_ name: String, _ value: String, _ out: inout Output) {
        quoted(name, Array(value.utf8), &out)
    }

    private func pair(_ prefix: String, _ pair: KeyValue, _ out: inout Output) {
        quoted(prefix + "Key", pair.key, &out)
        field(prefix + "CreateRevision", "\(pair.createRevision)", &out)
        field(prefix + "ModRevision", "\(pair.modRevision)", &out)
        field(prefix + "Version", "\(pair.version)", &out)
        quoted(prefix + "Value", pair.value, &out)
        field(prefix + "Lease", "\(pair.lease.rawValue)", &out)
    }

    private func text(_ build: (inout Output) -> Void) -> [UInt8] {
        var out = Output()
        build(&out)
        return out.bytes
    }

    func get(_ result: RangeResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            for next in result.kvs { pair("", next, &out) }
            field("More", "\(result.more)", &out)
            field("Count", "\(result.count)", &out)
        }
    }

    func put(_ result: PutResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            if let previous = result.previous { pair("Prev", previous, &out) }
        }
    }

    func delete(_ result: DeleteResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            field("Deleted", "\(result.deleted)", &out)
            for previous in result.previous { pair("Prev", previous, &out) }
        }
    }

    func txn(_ result: TxnResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            field("Succeeded", "\(result.succeeded)", &out)
            for response in result.responses {
                switch response {
                case .range(let result): out.bytes += get(result)
                case .put(let result): out.bytes += put(result)
                case .delete(let result): out.bytes += delete(result)
                case .txn(let result): out.bytes += txn(result)
                }
            }
        }
    }

    func watch(_ batch: WatchBatch) -> [UInt8] {
        text { out in
            header(batch.header, &out)
            for event in batch.events {
                field("Type", event.kind == .put ? "PUT" : "DELETE", &out)
                if let previous = event.previous { pair("Prev", previous, &out) }
                pair("", event.kv, &out)
            }
        }
    }

    func watchCanceled(compactRevision: Int64) -> [UInt8] {
        text { header(ResponseHeader(), &$0) }
    }

    func grant(_ result: LeaseGrantResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            field("ID", "\(result.id.rawValue)", &out)
            field("TTL", "\(result.ttlSeconds)", &out)
        }
    }

    func revoke(_ id: LeaseID, _ header: ResponseHeader) -> [UInt8] {
        text { self.header(header, &$0) }
    }

    func keepAlive(_ result: LeaseKeepAliveResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            field("ID", "\(result.id.rawValue)", &out)
            field("TTL", "\(result.ttlSeconds)", &out)
        }
    }

    func timeToLive(_ result: LeaseTimeToLiveResult, keys: Bool) -> [UInt8] {
        text { out in
            header(result.header, &out)
            field("ID", "\(result.id.rawValue)", &out)
            field("TTL", "\(result.ttlSeconds)", &out)
            field("GrantedTTL", "\(result.grantedTTLSeconds)", &out)
            for key in result.keys { quoted("Key", key, &out) }
        }
    }

    func leases(_ result: LeaseListResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            for lease in result.leases { field("ID", "\(lease.rawValue)", &out) }
        }
    }

    func members(_ result: MemberListResult) -> [UInt8] {
        text { out in
            header(result.header, &out)
            for member in result.members {
                field("ID", "\(member.id)", &out)
                quoted("Name", member.name, &out)
                for url in member.peerURLs { quoted("PeerURL", url, &out) }
                for url in member.clientURLs { quoted("ClientURL", url, &out) }
                field("IsLearner", "\(member.isLearner)", &out)
                out.line("")
            }
        }
    }

    func alarms(_ result: AlarmResult) -> [UInt8] {
        text { out in
            if let header = result.header { self.header(header, &out) }
            for alarm in result.alarms {
                field("MemberID", "\(alarm.memberID)", &out)
                field("AlarmType", "\(alarm.kind)", &out)
                out.line("")
            }
        }
    }

    func health(_ results: [EndpointHealth]) -> [UInt8] {
        text { out in
            for health in results {
                quoted("Endpoint", health.endpoint, &out)
                field("Health", "\(health.error == nil)", &out)
                field("Took", GoText.duration(health.took), &out)
                field("Error", health.error ?? "", &out)
                out.line("")
            }
        }
    }

    func status(_ results: [EndpointStatus]) -> [UInt8] {
        text { out in
            for result in results {
                let status = result.status
                header(status.header, &out)
                quoted("Version", status.version, &out)
                field("DBSize", "\(status.dbSize)", &out)
                field("Leader", "\(status.leader)", &out)
                field("IsLearner", "\(status.isLearner)", &out)
                field("RaftIndex", "\(status.raftIndex)", &out)
                field("RaftTerm", "\(status.raftTerm)", &out)
                field("RaftAppliedIndex", "\(status.raftAppliedIndex)", &out)
                field("Errors", "[\(status.errors.joined(separator: " "))]", &out)
                quoted("Endpoint", result.endpoint, &out)
                if result.hasOwnTrouble {
                    field("DivergedAt", status.divergedAt.map(String.init) ?? "", &out)
                    field("Recovering", "\(status.isRecovering)", &out)
                    field("DiskLow", "\(status.diskIsLow)", &out)
                }
                out.line("")
            }
        }
    }
}
