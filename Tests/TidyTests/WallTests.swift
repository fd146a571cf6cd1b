import Foundation
import Testing

@Suite struct WallTests {
    private let repository = Repository.current

    @Test("Package.swift and the table of walls say the same")
    func manifest() {
        for difference in Wall.differences(from: repository.manifest) { Issue.record("\(difference)") }
    }

    @Test("Dependencies point down only")
    func downwards() {
        #expect(Wall.upwardDependencies(in: Wall.all) == [])
    }

    @Test("Every file imports only what its target declares")
    func imports() {
        for wall in Wall.all where wall.kind != .generated {
            guard let target = repository.manifest.targets.first(where: { $0.name == wall.name }) else { continue }
            for file in repository.sources(of: target) {
                for (module, line) in file.imports where !wall.allowedImports.contains(module) && module != "Foundation"
                {
                    Issue.record("\(file.path):\(line): \(wall.name) must not import \(module)")
                }
            }
        }
    }

    @Test("Every module has its tests")
    func tests() {
        let targets = repository.manifest.targets
        for wall in Wall.all where wall.kind == .pure || wall.kind == .shell {
            let tests = targets.first { $0.kind == .testTarget && $0.name == wall.testTarget }
            let isTested = tests?.dependencies.contains(wall.name) == true
            #expect(isTested, "\(wall.name): no test target \(wall.testTarget) that depends on it")
            let hasTest = repository.sources.contains {
                $0.path.hasPrefix("Tests/\(wall.testTarget)/") && $0.text.contains("@Test")
            }
            #expect(hasTest, "Tests/\(wall.testTarget) has no test")
        }
    }

    @Test("Every folder under Sources and Simulation belongs to a target")
    func folders() throws {
        let paths = repository.manifest.targets.map(\.path)
        for file in repository.sources where file.path.hasPrefix("Sources/") || file.path.hasPrefix("Simulation/") {
            #expect(paths.contains { file.path.hasPrefix($0 + "/") }, "\(file.path) is in no target")
        }
    }

    @Test("A changed dependency, setting or target is found")
    func planted() throws {
        let text = try #require(repository.text(of: "Package.swift"))
        func differences(_ old: String, _ new: String) throws -> [String] {
            #expect(text.contains(old), "Package.swift no longer contains \(old)")
            let changed = text.replacing(old, with: new, maxReplacements: 1)
            return Wall.differences(from: Manifest(SourceFile(path: "Package.swift", text: changed)))
        }
        let raft = "name: \"Raft\", dependencies: [\"Primitives\", deque], swiftSettings: pure"
        let more = raft.replacing("deque]", with: "deque, nio]")
        #expect(try differences(raft, more) == ["Raft: depends on NIOCore, which the table does not allow"])
        let fewer = raft.replacing(", deque]", with: "]")
        #expect(try differences(raft, fewer) == ["Raft: the table allows DequeModule, Package.swift does not need it"])
        let loose = raft.replacing("pure", with: "strict")
        #expect(try differences(raft, loose) == ["Raft: compiled with 'strict', the table says 'pure'"])
        let unknown = raft.replacing("deque]", with: "deque, mystery]")
        #expect(try differences(raft, unknown) == ["Package.swift: cannot read the dependency Raft: mystery"])
        let renamed = try differences("name: \"Raft\", dep", "name: \"Rafts\", dep")
        #expect(renamed.contains("Rafts: in Package.swift, not in the table"))
        #expect(renamed.contains("Raft: in the table, not in Package.swift"))
    }

    @Test("A row that depends on a later one is found")
    func upwards() {
        let walls = [Wall("A", .pure, ["B"]), Wall("B", .pure, ["B"]), Wall("C", .shell, ["A"])]
        #expect(
            Wall.upwardDependencies(in: walls) == [
                "A depends on B, which is not below it", "B depends on B, which is not below it",
            ])
    }

    @Test("The manifest is read with its products, paths and settings")
    func reading() {
        let source = """
            let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
            // .target(name: "Commented", dependencies: ["Out"]),
            .target(name: "A", dependencies: ["B", nio, .product(name: "X", package: "y")], path: "Odd/A", swiftSettings: pure),
            .testTarget(name: "ATests"),
            """
        let manifest = Manifest(SourceFile(path: "Package.swift", text: source))
        #expect(manifest.targets.map(\.name) == ["A", "ATests"])
        #expect(manifest.targets.first?.path == "Odd/A")
        #expect(manifest.targets.last?.path == "Tests/ATests")
        #expect(manifest.targets.first?.settings == "pure")
        #expect(manifest.targets.first?.dependencies == ["B", "NIOCore", "X"])
    }
}
