/// Users, roles and what they may do. Ends with authentication off and nobody left, as it began.
extension Scripts {
    static func auth(_ console: Console) throws {
        for command in [
            "user add root:secret", "user add alice:wonder", "user add bob:builder", "user add alice:again",
            "user add guest --no-password", "role add reader", "role add writer", "role add reader",
            "role grant-permission reader read f --prefix", "role grant-permission writer readwrite w1 w5",
            "role grant-permission writer write x", "role grant-permission nobody read f",
            "user grant-role alice reader", "user grant-role alice nobody", "user grant-role bob writer",
            "user grant-role bob reader", "user grant-role nobody reader", "user list", "user get bob",
            "user get bob --detail", "user get alice -w json", "user get nobody", "role list", "role get writer",
            "role get reader -w json", "role get nobody", "--user alice:wonder get f1", "auth enable",
        ] { try console.run(command) }
        for command in refusedOrNot { try console.run(command) }
        for command in [
            "--user root:secret role revoke-permission reader f --prefix", "--user alice:wonder get f --prefix",
            "--user root:secret role revoke-permission reader f --prefix",
            "--user root:secret user revoke-role bob writer", "--user bob:builder put w2 3",
            "--user root:secret user revoke-role bob writer", "--user root:secret user delete root",
            "--user root:secret user revoke-role root root", "--user root:secret role delete root",
            "--user root:secret role delete writer", "--user root:secret user delete bob",
            "--user bob:builder get f1", "auth disable", "--user alice:wonder auth disable",
            "--user root:secret auth disable", "get f1", "user delete alice", "user delete guest", "user delete root",
            "role delete reader", "role delete root", "user list", "role list",
        ] { try console.run(command) }
    }

    /// While authentication is on.
    private static let refusedOrNot = [
        "put f1 1", "get f1", "--user root:secret put f1 1", "--user root:wrong get f1", "--user nobody:x get f1",
        "--user guest:x get f1", "--user alice:wonder get f1", "--user alice:wonder get f --prefix",
        "--user alice:wonder get e g", "--user alice:wonder put f1 2", "--user alice:wonder get '' --from-key",
        "--user bob:builder put w1 1", "--user bob:builder put w4 1 --prev-kv", "--user bob:builder put w5 1",
        "--user bob:builder put x 1", "--user bob:builder put x 1 --prev-kv", "--user bob:builder get x",
        "--user bob:builder del w1 w5 --prev-kv", "--user bob:builder del x", "--user bob:builder del x --prev-kv",
        "--user alice:wonder user list", "--user alice:wonder user get alice", "--user alice:wonder user get bob",
        "--user alice:wonder role get reader", "--user alice:wonder role get writer",
        "--user alice:wonder user add eve:x", "--user alice:wonder auth enable", "--user root:secret auth enable",
        "--user root:secret user list", "--user alice:wonder watch x",
    ]
}
