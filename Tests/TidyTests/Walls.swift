/// Who may depend on whom. `Package.swift` must say the same: a wall moves only when both are changed, on purpose.
struct Wall {
    enum Kind { case pure, shell, generated, program }

    var name: String
    var kind: Kind
    var dependencies: [String]
    /// The test target that proves the module; its own unless the table says otherwise.
    var testTarget: String

    init(_ name: String, _ kind: Kind, _ dependencies: [String] = [], testedBy testTarget: String? = nil) {
        self.name = name
        self.kind = kind
        self.dependencies = dependencies
        self.testTarget = testTarget ?? name + "Tests"
    }

    /// Lowest layer first; a row never depends on a later one.
    static let all: [Wall] = [
        Wall("Primitives", .pure),
        Wall("RegistryModel", .pure, ["Primitives"]),
        Wall("Raft", .pure, ["Primitives", "DequeModule"]),
        Wall("KVStore", .pure, ["Primitives", "RegistryModel", "DequeModule"]),
        Wall("Watch", .pure, ["Primitives", "RegistryModel", "DequeModule"]),
        Wall("AgentCore", .pure, ["Primitives"]),
        Wall("Replica", .pure, ["Raft", "KVStore", "Watch", "RegistryModel", "Primitives", "DequeModule"]),
        Wall("YAML", .shell, ["CYAML"], testedBy: "AgentShellTests"),
        Wall("Storage", .shell, ["Raft", "RegistryModel", "Primitives", "CSQLite", "CLZ4", "CLinux"]),
        Wall(
            "MemberLanes", .shell, ["Replica", "Raft", "KVStore", "Storage", "RegistryModel", "Primitives"],
            testedBy: "SimulatorTests"),
        Wall("LinkSecurity", .shell, ["Primitives", "NIOCore", "NIOPosix", "NIOTLS", "NIOSSL"]),
        Wall("Transport", .shell, ["LinkSecurity", "Primitives", "NIOCore", "NIOPosix", "Logging"]),
        Wall("GRPC", .shell, ["LinkSecurity", "Primitives", "CNghttp2", "NIOCore", "NIOPosix", "NIOHTTP1"]),
        Wall("EtcdProto", .generated, ["SwiftProtobuf"]),
        Wall("SignedTokens", .shell, ["Primitives", "Crypto", "CryptoExtras", "SwiftASN1", "SwiftProtobuf"]),
        Wall(
            "EtcdAPI", .shell,
            [
                "RegistryModel", "Primitives", "SignedTokens", "EtcdProto", "GRPC", "CCrypt", "SwiftProtobuf",
                "NIOCore", "NIOPosix",
            ]),
        Wall(
            "RegistryServer", .shell,
            [
                "MemberLanes", "Replica", "Raft", "KVStore", "Watch", "Storage", "Transport", "LinkSecurity", "EtcdAPI",
                "SignedTokens", "GRPC", "YAML", "RegistryModel", "Primitives", "NIOCore", "NIOPosix", "Logging",
                "DequeModule",
            ]),
        Wall(
            "RegistryClient", .shell,
            ["EtcdProto", "GRPC", "LinkSecurity", "SwiftProtobuf", "NIOCore", "NIOPosix", "Logging"]),
        Wall(
            "AgentShell", .shell,
            ["AgentCore", "RegistryClient", "YAML", "Primitives", "NIOCore", "NIOPosix", "NIOHTTP1", "Logging"]),
        Wall("registryd", .program, ["RegistryServer", "Logging"]),
        Wall(
            "CtlCommands", .shell,
            [
                "RegistryClient", "Storage", "Raft", "RegistryModel", "Primitives", "ArgumentParser", "X509",
                "SwiftASN1",
                "Crypto",
            ],
            testedBy: "RegistryClientTests"),
        Wall("registryctl", .program, ["CtlCommands"]),
        Wall("nerve", .program, ["AgentShell"]),
        Wall("synapse", .program, ["AgentShell"]),
        Wall("Linearizability", .pure, testedBy: "SimulatorTests"),
        Wall(
            "Simulator", .shell,
            [
                "AgentCore", "MemberLanes", "Replica", "Raft", "KVStore", "Watch", "Storage", "Linearizability",
                "RegistryModel", "Primitives", "DequeModule",
            ]),
        Wall("simulate", .program, ["Simulator", "Primitives", "ArgumentParser"]),
        Wall("etcdload", .program, ["GRPC", "ArgumentParser", "NIOCore", "NIOPosix", "DequeModule"]),
        Wall(
            "microbench", .program,
            [
                "GRPC", "EtcdAPI", "EtcdProto", "Transport", "Storage", "Replica", "Raft", "KVStore", "Watch",
                "RegistryModel", "Primitives", "ArgumentParser", "NIOCore", "NIOEmbedded", "SwiftProtobuf",
            ]),
        Wall(
            "fuzz", .program,
            [
                "GRPC", "EtcdAPI", "EtcdProto", "Transport", "Replica", "Raft", "KVStore", "Watch", "AgentShell",
                "AgentCore", "RegistryModel", "Primitives", "CFuzzing", "NIOCore", "NIOEmbedded", "Logging",
                "SwiftProtobuf",
            ]),
    ]

    /// Modules of the toolchain and the C library that whatever is not pure may import.
    static let systemModules = ["Dispatch", "FoundationEssentials", "Glibc", "Musl", "Synchronization"]

    /// The settings list that the kind is compiled with.
    var settings: String {
        switch kind {
        case .pure: "pure"
        case .shell, .program: "strict"
        case .generated: "generated"
        }
    }

    var allowedImports: [String] {
        kind == .pure ? dependencies : dependencies + Self.systemModules
    }

    /// What differs between this table and the manifest.
    static func differences(from manifest: Manifest) -> [String] {
        var found = manifest.unreadable.map { "Package.swift: cannot read the dependency \($0)" }
        let targets = manifest.targets.filter { $0.kind == .target || $0.kind == .executableTarget }
        for wall in all {
            guard let target = targets.first(where: { $0.name == wall.name }) else {
                found.append("\(wall.name): in the table, not in Package.swift")
                continue
            }
            for name in target.dependencies where !wall.dependencies.contains(name) {
                found.append("\(wall.name): depends on \(name), which the table does not allow")
            }
            for name in wall.dependencies where !target.dependencies.contains(name) {
                found.append("\(wall.name): the table allows \(name), Package.swift does not need it")
            }
            if target.settings != wall.settings {
                found.append("\(wall.name): compiled with '\(target.settings)', the table says '\(wall.settings)'")
            }
            if (target.kind == .executableTarget) != (wall.kind == .program) {
                found.append("\(wall.name): a program in one of the table and Package.swift only")
            }
        }
        for target in targets where !all.contains(where: { $0.name == target.name }) {
            found.append("\(target.name): in Package.swift, not in the table")
        }
        return found
    }

    /// Rows that depend on themselves or on a later row.
    static func upwardDependencies(in walls: [Wall]) -> [String] {
        var found: [String] = []
        for (index, wall) in walls.enumerated() {
            for name in wall.dependencies where walls[index...].contains(where: { $0.name == name }) {
                found.append("\(wall.name) depends on \(name), which is not below it")
            }
        }
        return found
    }
}
