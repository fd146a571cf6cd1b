import Foundation
import Testing

extension RealProcesses {
    /// `--auth-token jwt`: what one member signs, every member takes, without having been told.
    @Suite struct SignedTokenTests {
        /// A key pair of P-256 for these tests only.
        private static let privateKey = """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUetU0lTuUEPTVqlt
            777baP5LzCTu4pq9sKcvItNUN9ahRANCAASdiDAQwvK61PEllBj+YwFrQgOjkjnJ
            mAjX68x+qRf5biHwSSFm76bwEm5gmdTGJ53JJO9JISe/S/Xrq/YWLq8R
            -----END PRIVATE KEY-----

            """
        private static let publicKey = """
            -----BEGIN PUBLIC KEY-----
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnYgwEMLyutTxJZQY/mMBa0IDo5I5
            yZgI1+vMfqkX+W4h8EkhZu+m8BJuYJnUxiedySTvSSEnv0v166v2Fi6vEQ==
            -----END PUBLIC KEY-----

            """

        private let keys: Scratch
        private let cluster: Cluster

        init() throws {
            keys = try Scratch()
            try Self.privateKey.write(toFile: keys.path + "/a.key", atomically: true, encoding: .utf8)
            try Self.publicKey.write(toFile: keys.path + "/a.pub", atomically: true, encoding: .utf8)
            let option = "jwt,sign-method=ES256,pub-key=\(keys.path)/a.pub,priv-key=\(keys.path)/a.key,ttl=1h"
            cluster = try Cluster.started(extra: ["--auth-token", option, "--bcrypt-cost", "4"])
            for words in [
                "user add root:r", "role add root", "user grant-role root root", "user add al:a", "role add ra",
                "user grant-role al ra", "role grant-permission ra readwrite mine", "auth enable",
            ] {
                let outcome = try cluster.etcdctl(words.split(separator: " ").map(String.init))
                guard outcome.status == 0 else { throw TestFailure("etcdctl \(words): \(outcome)") }
            }
        }

        private func login(_ member: Member, _ user: String, _ password: String) throws -> String {
            struct Answer: Decodable { var token: String }
            let answer = try member.gateway().post(
                "/v3/auth/authenticate", "{\"name\":\"\(user)\",\"password\":\"\(password)\"}")
            return try JSONDecoder().decode(Answer.self, from: Data(answer.body)).token
        }

        private func put(_ member: Member, _ key: String, token: String) throws -> Gateway.Answer {
            let key = Data(key.utf8).base64EncodedString()
            return try member.gateway().post("/v3/kv/put", "{\"key\":\"\(key)\"}", authorization: token)
        }

        @Test("etcdctl works as a user at every member")
        func etcdctl() throws {
            for member in cluster.members {
                let own = [member.endpoint]
                let put = try cluster.etcdctl(["--user", "al:a", "put", "mine", member.name], endpoints: own)
                #expect(put.status == 0, "\(put)")
                let get = try cluster.etcdctl(
                    ["--user", "al:a", "get", "mine", "--print-value-only"], endpoints: own)
                #expect(get.output == member.name + "\n")
                let others = try cluster.etcdctl(["--user", "al:a", "put", "yours", "x"], endpoints: own)
                #expect(others.status != 0 && others.errors.contains("permission denied"), "\(others)")
                let wrong = try cluster.etcdctl(["--user", "al:b", "get", "mine"], endpoints: own)
                #expect(wrong.errors.contains("invalid user ID or password"), "\(wrong)")
            }
        }

        @Test("A token of one member is good at all of them, and after they were started again; until users change")
        func everywhere() throws {
            let (first, second) = (cluster.members[0], cluster.members[1])
            let token = try login(first, "al", "a")
            #expect(token.split(separator: ".").count == 3)
            for member in cluster.members { #expect(try put(member, "mine", token: token).status == 200) }
            #expect(try put(second, "mine", token: "Bearer " + token).status == 200)
            let denied = try put(second, "yours", token: token)
            #expect(denied.status == 403 && denied.text.contains("etcdserver: permission denied"))
            let forged = try put(second, "mine", token: String(token.dropLast(4)) + "AAAA")
            #expect(forged.status == 401 && forged.text.contains("etcdserver: invalid auth token"))
            second.kill9()
            try second.start()
            try second.waitUntilHealthy()
            #expect(try put(second, "mine", token: token).status == 200)
            let root = try login(second, "root", "r")
            #expect(
                try first.gateway().post("/v3/auth/role/add", "{\"name\":\"rb\"}", authorization: root).status == 200)
            for member in cluster.members {
                let old = try put(member, "mine", token: token)
                #expect(old.status == 400 && old.text.contains("etcdserver: revision of auth store is old"))
            }
            let list = try cluster.members[2].gateway().post("/v3/auth/user/list", "{}", authorization: root)
            #expect(
                list.status == 200, "what only root may do asks for root, not for the latest revision: \(list.text)")
            #expect(try put(second, "mine", token: login(first, "al", "a")).status == 200)
        }
    }
}
