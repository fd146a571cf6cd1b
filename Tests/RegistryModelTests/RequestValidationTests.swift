import Primitives
import RegistryModel
import Testing

@Suite struct RequestValidationTests {
    private func code(_ body: () throws(Rejection) -> Void) -> Rejection.Code? {
        do {
            try body()
            return nil
        } catch {
            return error.code
        }
    }

    private func put(_ key: String) -> TxnOperation { .put(PutRequest(key: Key(key), value: [1])) }
    private func delete(_ key: String, _ end: KeyRange.End = .single) -> TxnOperation {
        .deleteRange(DeleteRangeRequest(range: KeyRange(start: Key(key), end: end)))
    }
    private func nested(_ success: [TxnOperation], _ failure: [TxnOperation] = []) -> TxnOperation {
        .txn(TxnRequest(comparisons: [], success: success, failure: failure))
    }
    private func check(_ success: [TxnOperation], _ failure: [TxnOperation] = []) -> Rejection.Code? {
        code { () throws(Rejection) in
            try RequestValidation.check(TxnRequest(comparisons: [], success: success, failure: failure))
        }
    }

    @Test("An empty key is refused everywhere")
    func emptyKey() {
        let empty = KeyRange.key(Key([]))
        #expect(code { () throws(Rejection) in try RequestValidation.check(RangeRequest(range: .all)) } == .emptyKey)
        #expect(
            code { () throws(Rejection) in try RequestValidation.check(PutRequest(key: Key([]), value: [])) }
                == .emptyKey)
        #expect(
            code { () throws(Rejection) in try RequestValidation.check(DeleteRangeRequest(range: empty)) } == .emptyKey)
        let comparison = Comparison(range: empty, relation: .equal, target: .version(0))
        let txn = TxnRequest(comparisons: [comparison], success: [], failure: [])
        #expect(code { () throws(Rejection) in try RequestValidation.check(txn) } == .emptyKey)
        #expect(check([put("")]) == .emptyKey)
        #expect(check([], [nested([], [.range(RangeRequest(range: empty))])]) == .emptyKey)
    }

    @Test("Keeping a value or a lease forbids giving one")
    func ignored() {
        var request = PutRequest(key: Key("a"), value: [1])
        request.ignoreValue = true
        #expect(code { () throws(Rejection) in try RequestValidation.check(request) } == .valueProvided)
        request.value = []
        request.ignoreLease = true
        #expect(code { () throws(Rejection) in try RequestValidation.check(request) } == nil)
        request.lease = LeaseID(4)
        #expect(code { () throws(Rejection) in try RequestValidation.check(request) } == .leaseProvided)
        #expect(check([nested([], [.put(request)])]) == .leaseProvided)
    }

    @Test("Each list holds at most 128 entries, a nested one what its parent left")
    func operationLimit() {
        let many = (0..<129).map { put("k\($0)") }
        #expect(check(Array(many.prefix(128))) == nil)
        #expect(check(many) == .tooManyOperations)
        #expect(check([], many) == .tooManyOperations)
        let comparison = Comparison(range: .key(Key("a")), relation: .equal, target: .version(0))
        let compares = TxnRequest(comparisons: Array(repeating: comparison, count: 129), success: [], failure: [])
        #expect(code { () throws(Rejection) in try RequestValidation.check(compares) } == .tooManyOperations)
        #expect(check([nested(Array(many.prefix(127)))]) == nil)
        #expect(check([nested(Array(many.prefix(128)))]) == .tooManyOperations)
        var deep = nested([put("a")])
        for _ in 0..<127 { deep = nested([deep]) }
        #expect(check([deep]) == .tooManyOperations)
        #expect(check([put("a"), put("b")]) == nil)
        let small = TxnRequest(comparisons: [], success: [put("a"), put("b")], failure: [])
        #expect(
            code { () throws(Rejection) in try RequestValidation.check(small, operationsMax: 1) } == .tooManyOperations)
    }

    @Test("One branch may touch a key once, nested transactions included")
    func duplicates() {
        #expect(check([put("a"), put("a")]) == .duplicateKey)
        #expect(check([put("a")], [put("a")]) == nil)
        #expect(check([], [put("a"), put("a")]) == .duplicateKey)
        #expect(check([put("a"), delete("a")]) == .duplicateKey)
        #expect(check([delete("a"), put("a")]) == .duplicateKey)
        #expect(check([delete("a", .before(Key("c"))), put("b")]) == .duplicateKey)
        #expect(check([delete("a", .before(Key("c"))), put("c")]) == nil)
        #expect(check([delete("a"), delete("a", .before(Key("b")))]) == nil)
        #expect(check([put("a"), .range(RangeRequest(range: .key(Key("a"))))]) == nil)
        #expect(check([nested([put("a")]), put("a")]) == .duplicateKey)
        #expect(check([nested([put("a")]), nested([], [put("a")])]) == .duplicateKey)
        #expect(check([nested([put("a")], [put("a")])]) == nil)
        #expect(check([nested([put("a")], [delete("a")])]) == nil)
        #expect(check([nested([delete("a", .before(Key("z")))]), put("b")]) == .duplicateKey)
        #expect(check([put("b"), nested([], [delete("a", .before(Key("z")))])]) == .duplicateKey)
        #expect(check([nested([nested([put("a")])]), nested([nested([put("a")])])]) == .duplicateKey)
        #expect(check([nested([delete("a")]), nested([put("a")])]) == .duplicateKey)
        // etcd goes through the nested transactions in order and looks only back from a put for deletes.
        #expect(check([nested([put("a")]), nested([delete("a")])]) == nil)
        #expect(check([nested([nested([put("a")])]), nested([], [delete("a", .before(Key("z")))])]) == nil)
        #expect(check([nested([put("a")]), delete("a")]) == .duplicateKey)
    }

    @Test("A delete without upper end may meet a put, as in etcd")
    func openDelete() {
        #expect(check([delete("a", .unbounded), put("b")]) == nil)
        #expect(check([put("b"), delete("a", .unbounded)]) == nil)
        #expect(check([put("b"), delete("c", .before(Key("a")))]) == nil)
    }

    @Test("A lease lives at most nine billion seconds")
    func ttl() {
        #expect(code { () throws(Rejection) in try RequestValidation.check(leaseTTLSeconds: 9_000_000_000) } == nil)
        #expect(
            code { () throws(Rejection) in try RequestValidation.check(leaseTTLSeconds: 9_000_000_001) }
                == .leaseTTLTooLarge)
        let operation = Command.Operation.leaseGrant(LeaseID(1), ttlMilliseconds: 9_000_000_000_001)
        #expect(code { () throws(Rejection) in try RequestValidation.check(operation) } == .leaseTTLTooLarge)
    }

    @Test("Peer addresses are http or https with host and port and nothing else, at least one, each once")
    func peerURLs() {
        func check(_ urls: [String]) -> Rejection.Code? {
            code { () throws(Rejection) in try RequestValidation.check(peerURLs: urls) }
        }
        let good = [
            "http://10.0.0.1:2380", "https://db-1.example.org:443", "http://[::1]:2380", "http://[fe80::1%eth0]:65535",
            "http://localhost:1",
        ]
        #expect(check(good) == nil)
        let bad = [
            "", "10.0.0.1:2380", "ftp://a:1", "http://a", "http://a:", "http://a:0", "http://a:65536",
            "http://a:123456",
            "http://:1", "http://a:1/", "http://a:1/path", "http://a b:1", "http://u@h:1", "http://[::1:1",
            "http://[]:1",
            "http://a:+1", "unix://a:1", "http://a:1,http://b:1", "HTTP://a:1",
        ]
        for url in bad { #expect(check([url]) == .memberURLsInvalid, "\(url)") }
        #expect(check([]) == .memberURLsInvalid)
        #expect(check(["http://a:1", "http://b:1", "http://a:1"]) == .memberURLsInvalid)
        #expect(check(["http://a:1", "http://a"]) == .memberURLsInvalid)
        let added = MemberDescription(id: MemberID(1), name: "", peerURLs: [], clientURLs: [])
        for operation in [.memberAdd(added), .memberUpdate(MemberID(1), peerURLs: ["x"])] as [Command.Operation] {
            #expect(code { () throws(Rejection) in try RequestValidation.check(operation) } == .memberURLsInvalid)
        }
    }

    @Test("A transaction may put when any branch at any depth does")
    func mayPut() {
        func mayPut(_ success: [TxnOperation], _ failure: [TxnOperation] = []) -> Bool {
            TxnRequest(comparisons: [], success: success, failure: failure).mayPut
        }
        #expect(!mayPut([]) && !mayPut([delete("a"), nested([delete("b")])]))
        #expect(mayPut([put("a")]) && mayPut([], [put("a")]))
        #expect(mayPut([nested([], [nested([put("a")])])]) && mayPut([], [nested([put("a")])]))
    }
}
