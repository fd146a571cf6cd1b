// swift-tools-version: 6.2
import PackageDescription

/// A program of somebody else's that has a registry inside. The tests copy this folder to a place three levels below
/// the repository, so that its build products stay with all others.
let package = Package(
    name: "embedding",
    dependencies: [
        .package(name: "ganglion", path: "../../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .executableTarget(
            name: "embedding",
            dependencies: [
                .product(name: "RegistryServer", package: "ganglion"), .product(name: "Logging", package: "swift-log"),
            ])
    ]
)
