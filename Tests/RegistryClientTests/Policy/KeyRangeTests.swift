import RegistryClient
import Testing

@Suite struct KeyRangeTests {
    @Test("A prefix ends at the next key that does not have it")
    func prefixes() {
        #expect(KeyRange.prefix("ab") == KeyRange(key: [0x61, 0x62], end: [0x61, 0x63]))
        #expect(KeyRange.prefix([0x61, 0xFF]) == KeyRange(key: [0x61, 0xFF], end: [0x62]))
        #expect(KeyRange.prefix([0xFF, 0xFF]) == KeyRange(key: [0xFF, 0xFF], end: [0]))
        #expect(KeyRange.prefix("") == .all)
        #expect(KeyRange.from([]) == .all)
    }

    @Test("An interval contains what lies in it")
    func contains() {
        #expect(KeyRange.key("a").contains([0x61]))
        #expect(!KeyRange.key("a").contains([0x61, 0]))
        #expect(KeyRange.prefix("a").contains([0x61, 0xFF, 0xFF]))
        #expect(!KeyRange.prefix("a").contains([0x62]))
        #expect(!KeyRange.prefix("b").contains([0x61]))
        #expect(KeyRange.from([0x61]).contains([0xFF]))
        #expect(KeyRange.all.contains([0]))
        #expect(!KeyRange(key: [2], end: [1]).contains([1]))
    }

    @Test("A lease id is written in hexadecimal and read back")
    func leaseIDs() {
        #expect(LeaseID(rawValue: 0x694d_81417acd).description == "694d81417acd")
        #expect(LeaseID(hex: "694d81417acd") == LeaseID(rawValue: 0x694d_81417acd))
        #expect(LeaseID(hex: "xyz") == nil)
        #expect(LeaseID(hex: "10000000000000000") == nil)
    }
}
