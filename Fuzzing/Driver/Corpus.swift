import FoundationEssentials

/// Inputs that are kept: `Corpus/DOOR/NAME`.
enum Corpus {
    static func read(_ path: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path).map { Array($0) }
    }

    /// In order of name; the door's own seeds when there is no folder.
    static func inputs(of door: any Door.Type, below directory: String?) -> [Seed] {
        guard let directory else { return door.seeds }
        let folder = "\(directory)/\(door.name)"
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder), !names.isEmpty else {
            Fuzz.fail("no corpus in \(folder)")
        }
        return names.sorted().map { name in
            guard let bytes = read("\(folder)/\(name)") else { Fuzz.fail("cannot read \(folder)/\(name)") }
            return Seed(name, bytes)
        }
    }

    static func writeSeeds(below directory: String) {
        for door in Doors.all {
            let folder = "\(directory)/\(door.name)"
            do {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                for seed in door.seeds {
                    try Data(seed.bytes).write(to: URL(fileURLWithPath: "\(folder)/\(seed.name)"))
                }
            } catch {
                Fuzz.fail("\(folder): \(error)")
            }
        }
    }
}
