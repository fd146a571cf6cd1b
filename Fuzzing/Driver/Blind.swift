import Glibc

/// A run without guidance: every input of the corpus, then mutations of them until the time is over. Which inputs come,
/// and in which order, depends on the seed alone.
struct Blind {
    private let door: any Door.Type
    private let options: Options
    private var keeper: Keeper?

    init(_ door: any Door.Type, _ options: Options) {
        self.door = door
        self.options = options
        keeper = options.current.map(Keeper.init)
    }

    func run() {
        let corpus = Corpus.inputs(of: door, below: options.corpus)
        for seed in corpus { take(seed.bytes) }
        let start = ContinuousClock.now
        let end = start + .seconds(options.seconds)
        var mutator = Mutator(seed: options.seed, words: door.words)
        let inputs = corpus.map(\.bytes)
        var count = 0
        while ContinuousClock.now < end {
            take(mutator.input(from: inputs))
            count += 1
        }
        print(
            "\(door.name): \(corpus.count) inputs of the corpus, \(count) mutations in \(options.seconds) s, no complaint"
        )
    }

    private func take(_ input: [UInt8]) {
        keeper?.keep(input)
        Judge.take(input, door)
    }
}

/// A file that always holds the input being tried: it outlives the process that tried it.
struct Keeper {
    private let bytes: UnsafeMutableRawPointer
    private let capacity = Mutator.inputBytesMax * 16

    /// Four bytes of length come first.
    init(path: String) {
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0, ftruncate(file, capacity) == 0,
            let mapped = mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), mapped != MAP_FAILED
        else { Fuzz.fail("cannot write \(path)") }
        close(file)
        bytes = mapped
    }

    func keep(_ input: [UInt8]) {
        let count = min(input.count, capacity - 4)
        bytes.storeBytes(of: UInt32(count).littleEndian, as: UInt32.self)
        input.withUnsafeBytes {
            (bytes + 4).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(bytes), byteCount: count)
        }
    }
}
