/// The numbers `0..<count` in a doubly linked list: any can be taken out and put back in constant time, as long as
/// they are put back in the reverse order (Knuth's dancing links).
struct LinkedNumbers {
    /// Stands before the first number and behind the last one.
    let end: Int
    private var next: [Int]
    private var previous: [Int]

    init(count: Int) {
        end = count
        next = Array(1...count + 1)
        previous = Array(-1..<count)
        next[count] = 0
        previous[0] = count
    }

    var first: Int { next[end] }

    var isEmpty: Bool { first == end }

    func after(_ number: Int) -> Int { next[number] }

    mutating func remove(_ number: Int) {
        next[previous[number]] = next[number]
        previous[next[number]] = previous[number]
    }

    mutating func restore(_ number: Int) {
        next[previous[number]] = number
        previous[next[number]] = number
    }
}
