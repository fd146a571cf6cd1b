import Primitives
import RegistryModel

/// One operation on one key as a client sees it who knows nothing of revisions: for the black-box check.
struct RegisterCall {
    enum Input {
        case put([UInt8])
        /// nil: the key must not exist.
        case compareAndPut(expected: [UInt8]?, [UInt8])
        case delete
        case get
    }

    /// Operations on a key before its slot goes on with another: the check's cost grows with a key's life.
    static let operationsMax = 200

    var key: Key
    var input: Input

    init(_ key: Key, _ input: Input) {
        self.key = key
        self.input = input
    }
}
