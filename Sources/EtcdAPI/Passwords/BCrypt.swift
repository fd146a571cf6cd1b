internal import CCrypt

/// bcrypt as etcd stores passwords, done by the system's libxcrypt. A call takes tens of milliseconds at the usual cost,
/// and twice as long for each step of cost.
enum BCrypt {
    /// What longer passwords bring beyond this is ignored by the algorithm.
    static let passwordBytesMax = 72
    static let costs = 4...31
    private static let saltBytes = 16
    /// `sizeof (struct crypt_data)`, whose fields are no business of ours.
    private static let scratchBytes = 32_768

    /// - Parameters:
    ///   - cost: the binary logarithm of the rounds; within `costs`.
    ///   - salt: 16 random bytes.
    /// - Returns: the text that `verify` takes; nil when the password cannot be one (it has a zero byte, or is longer
    ///   than the algorithm looks at).
    static func hash(_ password: [UInt8], cost: Int, salt: [UInt8]) -> String? {
        precondition(costs.contains(cost) && salt.count == saltBytes, "bcrypt's cost or salt is out of bounds")
        guard password.count <= passwordBytesMax, !password.contains(0) else { return nil }
        var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
        let made = salt.withUnsafeBufferPointer { salt in
            salt.withMemoryRebound(to: CChar.self) { salt in
                crypt_gensalt_rn(
                    "$2b$", UInt(cost), salt.baseAddress, CInt(salt.count), &setting, CInt(setting.count))
            }
        }
        guard made != nil else { return nil }
        return crypt(
            password, setting: String(decoding: setting.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    /// Whether `hash`, of any kind that bcrypt libraries write, was made of this password. Takes the same time whatever
    /// the answer, but for hashes that are none.
    static func verify(_ password: [UInt8], _ hash: String) -> Bool {
        // Others write "$2a$" for what libxcrypt calls "$2b$"; its own "$2a$" differs for rare passwords.
        let kinds = ["$2a$", "$2b$", "$2y$"]
        guard kinds.contains(String(hash.prefix(4))), !password.contains(0) else { return false }
        let canonical = "$2b$" + hash.dropFirst(4)
        guard let found = crypt(Array(password.prefix(passwordBytesMax)), setting: canonical) else { return false }
        let (left, right) = (Array(found.utf8), Array(canonical.utf8))
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for (a, b) in zip(left, right) { difference |= a ^ b }
        return difference == 0
    }

    private static func crypt(_ password: [UInt8], setting: String) -> String? {
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: scratchBytes, alignment: 16)
        scratch.initializeMemory(as: UInt8.self, repeating: 0, count: scratchBytes)
        defer {
            scratch.initializeMemory(as: UInt8.self, repeating: 0, count: scratchBytes)
            scratch.deallocate()
        }
        let phrase = password.map(CChar.init(bitPattern:)) + [0]
        guard let result = crypt_rn(phrase, setting, scratch, CInt(scratchBytes)) else { return nil }
        let text = String(cString: result)
        // Failure comes as a text that cannot be a hash.
        return text.hasPrefix("*") ? nil : text
    }
}
