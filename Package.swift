// swift-tools-version: 6.2
import PackageDescription

/// Set by bin/fuzz alone: empty, `plain` or `guided` (Fuzzing/README.md).
let fuzzing = Context.environment["GANGLION_FUZZ"] ?? ""
/// What tells libFuzzer which branches of our modules an input has reached.
let coverage: [SwiftSetting] = fuzzing == "guided" ? [.unsafeFlags(["-sanitize=fuzzer"]), .define("GUIDED")] : []

/// Set by bin/micro alone: whether the micro benchmarks are among the targets (docs/benchmarks/README.md).
let hasMicroBenchmarks = Context.environment["GANGLION_MICRO"] != nil

/// What every target is compiled with: Swift 6 mode is the default at this tools version.
let strict: [SwiftSetting] =
    coverage + [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .enableUpcomingFeature("InferIsolatedConformances"),
        .enableUpcomingFeature("ImmutableWeakCaptures"),
        .treatAllWarnings(as: .error),
    ]
/// The modules that decide. They may import only what they list, and the standard library.
let pure = strict + [.strictMemorySafety()]
/// Generated code keeps its generator's style.
let generated: [SwiftSetting] = coverage

/// Release programs carry the Swift runtime and are laid out for a small resident set (ARCHITECTURE.md, "Linking").
let programLinking: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-static-stdlib", "-l_FoundationCollections", "-l_FoundationCShims", "-lswiftSynchronization",
            "-use-ld=bfd",
            // Relative relocations in their packed form: two megabytes fewer to touch at start, still PIE.
            "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
            // The static standard library asks for a dynamic symbol table that nobody uses.
            "-Xlinker", "--no-export-dynamic",
            "-Xlinker", "--no-warnings",
        ], .when(platforms: [.linux], configuration: .release))
]

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "ganglion",
    products: [
        .library(name: "RegistryServer", targets: ["RegistryServer"]),
        .library(name: "RegistryClient", targets: ["RegistryClient"]),
        .executable(name: "registryd", targets: ["registryd"]),
        .executable(name: "registryctl", targets: ["registryctl"]),
        .executable(name: "nerve", targets: ["nerve"]),
        .executable(name: "synapse", targets: ["synapse"]),
        .executable(name: "simulate", targets: ["simulate"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        // System libraries
        .systemLibrary(
            name: "CSQLite", path: "Sources/System/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CLinux", path: "Sources/System/CLinux"),
        .systemLibrary(
            name: "CLZ4", path: "Sources/System/CLZ4", pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CNghttp2", path: "Sources/System/CNghttp2", pkgConfig: "libnghttp2",
            providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(
            name: "CYAML", path: "Sources/System/CYAML", pkgConfig: "yaml-0.1",
            providers: [.apt(["libyaml-dev"])]),

        .systemLibrary(
            name: "CCrypt", path: "Sources/System/CCrypt", pkgConfig: "libxcrypt",
            providers: [.apt(["libcrypt-dev"])]),

        // Words
        .target(name: "Primitives", swiftSettings: pure),
        .testTarget(name: "PrimitivesTests", dependencies: ["Primitives"], swiftSettings: strict),
        .target(name: "RegistryModel", dependencies: ["Primitives"], swiftSettings: pure),
        .testTarget(
            name: "RegistryModelTests", dependencies: ["RegistryModel", "Primitives"],
            swiftSettings: strict),

        // Cores
        .target(name: "Raft", dependencies: ["Primitives", deque], swiftSettings: pure),
        .testTarget(name: "RaftTests", dependencies: ["Raft", "Primitives"], swiftSettings: strict),
        .target(name: "KVStore", dependencies: ["Primitives", "RegistryModel", deque], swiftSettings: pure),
        .testTarget(
            name: "KVStoreTests", dependencies: ["KVStore", "RegistryModel", "Primitives"],
            swiftSettings: strict),
        .target(name: "Watch", dependencies: ["Primitives", "RegistryModel", deque], swiftSettings: pure),
        .testTarget(
            name: "WatchTests", dependencies: ["Watch", "RegistryModel", "Primitives"],
            swiftSettings: strict),
        .target(name: "AgentCore", dependencies: ["Primitives"], path: "Sources/Agents/Core", swiftSettings: pure),
        .testTarget(
            name: "AgentCoreTests", dependencies: ["AgentCore", "Primitives"], swiftSettings: strict),

        // One member as a value
        .target(
            name: "Replica", dependencies: ["Raft", "KVStore", "Watch", "RegistryModel", "Primitives", deque],
            swiftSettings: pure),
        .testTarget(
            name: "ReplicaTests",
            dependencies: ["Replica", "Raft", "KVStore", "Watch", "RegistryModel", "Primitives"],
            swiftSettings: strict),

        // Adapters
        .target(name: "YAML", dependencies: ["CYAML"], swiftSettings: strict),
        .target(
            name: "Storage",
            dependencies: ["Raft", "RegistryModel", "Primitives", "CSQLite", "CLZ4", "CLinux"],
            swiftSettings: strict),
        .testTarget(
            name: "StorageTests",
            dependencies: ["Storage", "MemberLanes", "Replica", "Simulator", "Raft", "RegistryModel", "Primitives"],
            swiftSettings: strict),
        .target(
            name: "MemberLanes",
            dependencies: ["Replica", "Raft", "KVStore", "Storage", "RegistryModel", "Primitives"],
            swiftSettings: strict),
        .target(
            name: "LinkSecurity", dependencies: ["Primitives", nio, nioPosix, nioTLS, nioSSL], swiftSettings: strict),
        .testTarget(
            name: "LinkSecurityTests",
            dependencies: ["LinkSecurity", "GRPC", "Transport", "Primitives", nio, nioPosix, logging],
            swiftSettings: strict),
        .target(
            name: "Transport", dependencies: ["LinkSecurity", "Primitives", nio, nioPosix, logging],
            swiftSettings: strict),
        .testTarget(
            name: "TransportTests",
            dependencies: ["Transport", "Primitives", nio, nioPosix, logging],
            swiftSettings: strict),
        .target(
            name: "GRPC", dependencies: ["LinkSecurity", "Primitives", "CNghttp2", nio, nioPosix, nioHTTP1],
            swiftSettings: strict),
        .testTarget(
            name: "GRPCTests", dependencies: ["GRPC", nio, nioPosix, nioHTTP1],
            swiftSettings: strict),
        .target(name: "EtcdProto", dependencies: [protobuf], exclude: ["protos"], swiftSettings: generated),
        .target(
            name: "SignedTokens", dependencies: ["Primitives", crypto, cryptoExtras, asn1, protobuf],
            swiftSettings: strict),
        .testTarget(name: "SignedTokensTests", dependencies: ["SignedTokens", "Primitives"], swiftSettings: strict),
        .target(
            name: "EtcdAPI",
            dependencies: [
                "RegistryModel", "Primitives", "SignedTokens", "EtcdProto", "GRPC", "CCrypt", protobuf, nio, nioPosix,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "EtcdAPITests",
            dependencies: [
                "EtcdAPI", "SignedTokens", "EtcdProto", "RegistryModel", "Primitives", "GRPC", protobuf, nio, nioPosix,
            ],
            swiftSettings: strict),

        // Shells
        .target(
            name: "RegistryServer",
            dependencies: [
                "MemberLanes", "Replica", "Raft", "KVStore", "Watch", "Storage", "Transport", "LinkSecurity", "EtcdAPI",
                "SignedTokens", "GRPC", "YAML", "RegistryModel", "Primitives", nio, nioPosix, logging, deque,
            ], swiftSettings: strict),
        .testTarget(
            name: "RegistryServerTests",
            dependencies: [
                "RegistryServer", "Replica", "Raft", "Storage", "Transport", "EtcdAPI", "SignedTokens", "GRPC",
                "RegistryModel", "Primitives", nio, nioPosix, logging,
            ], swiftSettings: strict),
        .target(
            name: "RegistryClient",
            dependencies: ["EtcdProto", "GRPC", "LinkSecurity", protobuf, nio, nioPosix, logging],
            swiftSettings: strict),
        .testTarget(
            name: "RegistryClientTests",
            dependencies: [
                "RegistryClient", "CtlCommands", "Storage", "GRPC", "EtcdProto", arguments, protobuf, nio, nioPosix,
            ],
            swiftSettings: strict),
        .target(
            name: "AgentShell",
            dependencies: ["AgentCore", "RegistryClient", "YAML", "Primitives", nio, nioPosix, nioHTTP1, logging],
            path: "Sources/Agents/Shell", swiftSettings: strict),
        .testTarget(
            name: "AgentShellTests",
            dependencies: ["AgentShell", "AgentCore", "RegistryClient", "YAML", "Primitives", nio, nioPosix],
            swiftSettings: strict),

        // Programs
        .executableTarget(
            name: "registryd", dependencies: ["RegistryServer", logging], swiftSettings: strict,
            linkerSettings: programLinking),
        .target(
            name: "CtlCommands",
            dependencies: [
                "RegistryClient", "Storage", "Raft", "RegistryModel", "Primitives", arguments, x509, asn1, crypto,
            ], path: "Sources/registryctl", exclude: ["Program"], swiftSettings: strict),
        .executableTarget(
            name: "registryctl", dependencies: ["CtlCommands"], path: "Sources/registryctl/Program",
            swiftSettings: strict, linkerSettings: programLinking),
        .executableTarget(
            name: "nerve", dependencies: ["AgentShell"], path: "Sources/Agents/Nerve",
            swiftSettings: strict, linkerSettings: programLinking),
        .executableTarget(
            name: "synapse", dependencies: ["AgentShell"], path: "Sources/Agents/Synapse",
            swiftSettings: strict, linkerSettings: programLinking),

        // Simulation
        .target(name: "Linearizability", path: "Simulation/Linearizability", swiftSettings: pure),
        .target(
            name: "Simulator",
            dependencies: [
                "AgentCore", "MemberLanes", "Replica", "Raft", "KVStore", "Watch", "Storage", "Linearizability",
                "RegistryModel", "Primitives", deque,
            ],
            path: "Simulation/Simulator", swiftSettings: strict),
        .testTarget(
            name: "SimulatorTests",
            dependencies: [
                "Simulator", "AgentCore", "Linearizability", "MemberLanes", "Replica", "Raft", "KVStore", "Watch",
                "Storage", "RegistryModel", "Primitives",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "simulate", dependencies: ["Simulator", "Primitives", arguments], path: "Simulation/simulate",
            swiftSettings: strict, linkerSettings: programLinking),

        // Measuring
        .executableTarget(
            name: "etcdload", dependencies: ["GRPC", arguments, nio, nioPosix, deque], path: "Benchmarks/Load",
            swiftSettings: strict, linkerSettings: programLinking),

        // The house itself
        .testTarget(name: "TidyTests", swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["Primitives", "RegistryClient", "GRPC", "EtcdProto", protobuf, nio, nioPosix],
            exclude: ["Embedding"], swiftSettings: strict),
    ]
)

// Only there when it is asked for: who builds the programs does not pay for it.
if !fuzzing.isEmpty {
    package.targets += [
        .systemLibrary(name: "CFuzzing", path: "Fuzzing/CFuzzing"),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "GRPC", "EtcdAPI", "EtcdProto", "Transport", "Replica", "Raft", "KVStore", "Watch", "AgentShell",
                "AgentCore", "RegistryModel", "Primitives", "CFuzzing", nio, nioEmbedded, logging, protobuf,
            ],
            path: "Fuzzing", exclude: ["Corpus", "README.md", "CFuzzing"], swiftSettings: strict),
    ]
}

// It looks into modules, which only builds with -enable-testing allow.
if hasMicroBenchmarks {
    package.targets.append(
        .executableTarget(
            name: "microbench",
            dependencies: [
                "GRPC", "EtcdAPI", "EtcdProto", "Transport", "Storage", "Replica", "Raft", "KVStore", "Watch",
                "RegistryModel", "Primitives", arguments, nio, nioEmbedded, protobuf,
            ],
            path: "Benchmarks/Micro", exclude: ["Runner", "thresholds.json"], swiftSettings: strict,
            // Debian 12's valgrind cannot read the toolchain's debug information.
            linkerSettings: programLinking + [.unsafeFlags(["-Xlinker", "--strip-debug"])]))
}
