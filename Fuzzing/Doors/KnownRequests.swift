import EtcdProto
import FoundationEssentials
import SwiftProtobuf

/// A call whose messages are what clients send.
struct KnownRequest {
    var name: String
    /// Of `EtcdMethods.all`.
    var method: Int
    var messages: [[UInt8]]
}

extension ProtobufDoor {
    static let requests: [KnownRequest] = keys + watches + leases + members + users + locks

    private static func known(_ name: String, _ method: String, _ messages: any Message...) -> KnownRequest {
        let bytes = messages.map { (try? $0.serializedBytes() as [UInt8]) ?? [] }
        return KnownRequest(name: name, method: index(of: method), messages: bytes)
    }

    private static let keys: [KnownRequest] = [
        known(
            "range", "Range",
            Etcdserverpb_RangeRequest.with {
                $0.key = Data("a".utf8)
                $0.rangeEnd = Data([0])
            }),
        known(
            "range-sorted", "Range",
            Etcdserverpb_RangeRequest.with {
                $0.key = Data("a".utf8)
                $0.rangeEnd = Data("z".utf8)
                $0.limit = 2
                $0.revision = 3
                $0.sortOrder = .descend
                $0.sortTarget = .mod
                $0.minModRevision = 1
                $0.countOnly = true
            }),
        known(
            "put", "Put",
            Etcdserverpb_PutRequest.with {
                $0.key = Data("a".utf8)
                $0.value = Data("v".utf8)
                $0.prevKv = true
            }),
        known(
            "put-leased", "Put",
            Etcdserverpb_PutRequest.with {
                $0.key = Data("l".utf8)
                $0.lease = 7
            }),
        known(
            "delete", "DeleteRange",
            Etcdserverpb_DeleteRangeRequest.with {
                $0.key = Data("a".utf8)
                $0.rangeEnd = Data("c".utf8)
                $0.prevKv = true
            }),
        known(
            "txn", "Txn",
            Etcdserverpb_TxnRequest.with {
                $0.compare = [
                    .with {
                        $0.key = Data("a".utf8)
                        $0.target = .version
                        $0.version = 1
                    }
                ]
                $0.success = [
                    .with { $0.requestPut = .with { $0.key = Data("x".utf8) } },
                    .with { $0.requestRange = .with { $0.key = Data("a".utf8) } },
                ]
                $0.failure = [
                    .with { $0.requestDeleteRange = .with { $0.key = Data("a".utf8) } },
                    .with {
                        $0.requestTxn = .with {
                            $0.success = [.with { $0.requestRange = .with { $0.key = Data("b".utf8) } }]
                        }
                    },
                ]
            }),
        known(
            "compact", "Compact",
            Etcdserverpb_CompactionRequest.with {
                $0.revision = 3
                $0.physical = true
            }),
    ]

    private static let watches: [KnownRequest] = [
        known(
            "watch", "Watch",
            Etcdserverpb_WatchRequest.with {
                $0.createRequest = .with {
                    $0.key = Data("a".utf8)
                    $0.rangeEnd = Data([0])
                    $0.startRevision = 1
                }
            }),
        known(
            "watch-all", "Watch",
            Etcdserverpb_WatchRequest.with {
                $0.createRequest = .with {
                    $0.key = Data("a".utf8)
                    $0.watchID = 5
                    $0.filters = [.nodelete]
                    $0.prevKv = true
                    $0.progressNotify = true
                    $0.fragment = true
                }
            }, Etcdserverpb_WatchRequest.with { $0.progressRequest = .init() },
            Etcdserverpb_WatchRequest.with { $0.cancelRequest = .with { $0.watchID = 5 } }),
        known("health-watch", "Check", Etcdserverpb_HashRequest()),
    ]

    private static let leases: [KnownRequest] = [
        known(
            "lease-grant", "LeaseGrant",
            Etcdserverpb_LeaseGrantRequest.with {
                $0.ttl = 5
                $0.id = 9
            }),
        known("lease-revoke", "LeaseRevoke", Etcdserverpb_LeaseRevokeRequest.with { $0.id = 7 }),
        known(
            "lease-keepalive", "LeaseKeepAlive", Etcdserverpb_LeaseKeepAliveRequest.with { $0.id = 7 },
            Etcdserverpb_LeaseKeepAliveRequest.with { $0.id = 8 }),
        known(
            "lease-ttl", "LeaseTimeToLive",
            Etcdserverpb_LeaseTimeToLiveRequest.with {
                $0.id = 7
                $0.keys = true
            }),
        known("leases", "LeaseLeases", Etcdserverpb_LeaseLeasesRequest()),
    ]

    private static let members: [KnownRequest] = [
        known(
            "member-add", "MemberAdd",
            Etcdserverpb_MemberAddRequest.with {
                $0.peerUrls = ["http://127.0.0.2:2380"]
                $0.isLearner = true
            }),
        known("member-remove", "MemberRemove", Etcdserverpb_MemberRemoveRequest.with { $0.id = 2 }),
        known(
            "member-update", "MemberUpdate",
            Etcdserverpb_MemberUpdateRequest.with {
                $0.id = 1
                $0.peerUrls = ["http://127.0.0.3:2380"]
            }),
        known("member-list", "MemberList", Etcdserverpb_MemberListRequest.with { $0.linearizable = true }),
        known("member-promote", "MemberPromote", Etcdserverpb_MemberPromoteRequest.with { $0.id = 2 }),
        known(
            "alarm", "Alarm",
            Etcdserverpb_AlarmRequest.with {
                $0.action = .activate
                $0.memberID = 1
                $0.alarm = .nospace
            }),
        known("status", "Status", Etcdserverpb_StatusRequest()),
        known("defragment", "Defragment", Etcdserverpb_DefragmentRequest()),
        known("hash", "Hash", Etcdserverpb_HashRequest()),
        known("hashkv", "HashKV", Etcdserverpb_HashKVRequest.with { $0.revision = 3 }),
        known("move-leader", "MoveLeader", Etcdserverpb_MoveLeaderRequest.with { $0.targetID = 1 }),
        known("downgrade", "Downgrade", Etcdserverpb_DowngradeRequest.with { $0.version = "3.5" }),
        known("snapshot", "Snapshot", Etcdserverpb_SnapshotRequest()),
        known(
            "reflection", "ServerReflectionInfo",
            Etcdserverpb_AuthUserAddRequest.with { $0.password = "etcdserverpb.KV" }),
    ]

    private static let users: [KnownRequest] = [
        known(
            "user-add-root", "UserAdd",
            Etcdserverpb_AuthUserAddRequest.with {
                $0.name = "root"
                $0.options.noPassword = true
            }),
        known(
            "user-add", "UserAdd",
            Etcdserverpb_AuthUserAddRequest.with {
                $0.name = "u"
                $0.password = "p"
            }),
        known("role-add-root", "RoleAdd", Etcdserverpb_AuthRoleAddRequest.with { $0.name = "root" }),
        known(
            "user-grant-root", "UserGrantRole",
            Etcdserverpb_AuthUserGrantRoleRequest.with {
                $0.user = "root"
                $0.role = "root"
            }),
        known(
            "role-grant", "RoleGrantPermission",
            Etcdserverpb_AuthRoleGrantPermissionRequest.with {
                $0.name = "root"
                $0.perm = .with {
                    $0.key = Data("a".utf8)
                    $0.rangeEnd = Data([0])
                    $0.permType = .readwrite
                }
            }),
        known(
            "role-revoke", "RoleRevokePermission",
            Etcdserverpb_AuthRoleRevokePermissionRequest.with {
                $0.role = "root"
                $0.key = Data("a".utf8)
            }),
        known("role-get", "RoleGet", Etcdserverpb_AuthRoleGetRequest.with { $0.role = "root" }),
        known("user-get", "UserGet", Etcdserverpb_AuthUserGetRequest.with { $0.name = "root" }),
        known("auth-enable", "AuthEnable", Etcdserverpb_AuthEnableRequest()),
        known("auth-disable", "AuthDisable", Etcdserverpb_AuthDisableRequest()),
        known("auth-status", "AuthStatus", Etcdserverpb_AuthStatusRequest()),
        known(
            "authenticate", "Authenticate",
            Etcdserverpb_AuthenticateRequest.with {
                $0.name = "root"
                $0.password = "p"
            }),
    ]

    private static let locks: [KnownRequest] = [
        known(
            "lock", "Lock",
            V3lockpb_LockRequest.with {
                $0.name = Data("lock".utf8)
                $0.lease = 7
            }),
        known("unlock", "Unlock", V3lockpb_UnlockRequest.with { $0.key = Data("lock/7".utf8) }),
        known(
            "campaign", "Campaign",
            V3electionpb_CampaignRequest.with {
                $0.name = Data("e".utf8)
                $0.lease = 7
                $0.value = Data("v".utf8)
            }),
        known(
            "proclaim", "Proclaim",
            V3electionpb_ProclaimRequest.with {
                $0.leader = .with {
                    $0.name = Data("e".utf8)
                    $0.key = Data("e/7".utf8)
                    $0.rev = 5
                    $0.lease = 7
                }
            }),
        known("leader", "Leader", V3electionpb_LeaderRequest.with { $0.name = Data("e".utf8) }),
        known("observe", "Observe", V3electionpb_LeaderRequest.with { $0.name = Data("e".utf8) }),
        known("resign", "Resign", V3electionpb_ResignRequest.with { $0.leader = .with { $0.key = Data("e/7".utf8) } }),
    ]
}
