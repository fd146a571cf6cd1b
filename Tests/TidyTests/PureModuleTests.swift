import Testing

@Suite struct PureModuleTests {
    @Test("Pure modules hold no clock, task, lock, randomness, floating point, output or foreign import")
    func pureModules() throws {
        let repository = Repository.current
        for wall in Wall.all where wall.kind == .pure {
            let target = try #require(repository.manifest.targets.first { $0.name == wall.name })
            let files = repository.sources(of: target)
            let unordered = UnorderedNames(files)
            for file in files {
                for violation in PureRules.check(file, allowedImports: wall.allowedImports, unordered: unordered) {
                    Issue.record("\(violation)")
                }
            }
        }
    }

    private func violations(_ source: String) -> [Violation] {
        let file = SourceFile(path: "Sources/Planted/Planted.swift", text: source)
        return PureRules.check(file, allowedImports: ["Primitives"], unordered: UnorderedNames([file]))
    }

    @Test(
        "A planted violation is found",
        arguments: [
            "import Foundation", "import NIOCore", "package import Glibc", "import struct Foundation.URL",
            "import Synchronization",
            "let now = Date()", "let c = ContinuousClock().now", "Task { step() }", "func f() async {}", "await f()",
            "actor Store {}", "let m = Mutex(0)", "let l = NSLock()", "DispatchQueue.main.sync {}", "Thread.sleep(1)",
            "let id = UUID()", "var g = SystemRandomNumberGenerator()", "let n = Int.random(in: 0..<9)",
            "list.shuffled()",
            "list.shuffle()", "list.randomElement()", "x.hashValue", "func hash(into h: inout Hasher) {}",
            "var r: Double = r0",
            "let f = Float(x)", "let share = 0.5", "let big = 1e9", "print(x)", "let s = \"\\(Date())\"",
            "withTaskGroup(of: Int.self) { _ in }", "let logger = Logger()", "ObjectIdentifier(x)",
        ])
    func planted(_ source: String) {
        #expect(violations(source).count == 1, "\(violations(source))")
    }

    @Test(
        "What only looks like a violation passes",
        arguments: [
            "import Primitives", "// Task, await, Date()", "let s = \"Task 0.5 Date\"", "let r = 0...5",
            "let t = pair.0.1",
            "Int.random(in: 0..<9, using: &generator)", "list.shuffled(using: &generator)", "let taskCount = 1",
            "var random: SeededGenerator", "let mask = 0xE0", "/* UUID() */ let update = 1",
        ])
    func innocent(_ source: String) {
        #expect(violations(source).isEmpty, "\(violations(source))")
    }

    @Test(
        "Walking through a dictionary or a set is found",
        arguments: [
            "var peers: [Int: String] = [:]\nfor (id, peer) in peers {}",
            "var peers: Set<Int>\nfor id in self.peers where id > 1 {}",
            "struct A { var peers = Set<Int>() }\nlet x = a.peers.map { $0 }",
            "var peers: Dictionary<Int, String>\nfor id in peers.keys {}",
            "var peers: [Key: [Value]]\nlet x = peers.values.reduce(0, +)",
            "func f(peers: [Int: String]) { peers.forEach { send($0) } }",
            "let peers: [(Int) -> Bool: String]\nlet x = peers.first",
            "var peers = [:]\nfor p in peers {}",
        ])
    func plantedIteration(_ source: String) {
        #expect(violations(source).count == 1, "\(violations(source))")
    }

    @Test(
        "Looking up, sorting first, arrays and explained places pass",
        arguments: [
            "var peers: [Int: String] = [:]\nlet x = peers[3]\nfor c in peers[3] {}",
            "var peers: [Int: String] = [:]\nfor id in peers.keys.sorted() {}",
            "var peers: Set<Int>\nfor id in peers.sorted() {}",
            "var peers: [Int]\nfor id in peers {}",
            "var peers: Set<Int>\n// Any order: the sum is the same.\nlet x = peers.reduce(0, +)",
            "var peers: Set<Int>\nlet x = peers.contains(3), y = peers.count",
            "let x = flag ? [a] : [b]\nfor y in x {}",
            "let values: [Entry] = f(keys: [a, b])\nfor y in values {}",
        ])
    func innocentIteration(_ source: String) {
        #expect(violations(source).isEmpty, "\(violations(source))")
    }

    @Test("A dictionary declared in one file is known in the module's other files")
    func acrossFiles() {
        let declaring = SourceFile(path: "A.swift", text: "struct A { var peers: [Int: Peer] }")
        let walking = SourceFile(path: "B.swift", text: "extension A { func f() { for p in peers {} } }")
        let other = SourceFile(path: "C.swift", text: "func g(peers: [Peer]) { for p in peers {} }")
        let two = UnorderedNames([declaring, walking])
        #expect(PureRules.check(walking, allowedImports: [], unordered: two).count == 1)
        // The name means an array elsewhere: then only the declaring file is judged.
        let three = UnorderedNames([declaring, walking, other])
        #expect(PureRules.check(other, allowedImports: [], unordered: three).isEmpty)
    }
}
