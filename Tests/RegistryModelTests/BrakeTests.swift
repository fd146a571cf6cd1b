import RegistryModel
import Testing

@Suite struct BrakeTextTests {
    @Test("Settings are read back as written; what means nothing is named, and the standard holds")
    func settings() {
        var settings = BrakeSettings()
        #expect(BrakeSettings.read([]).settings == .standard && BrakeSettings.read([]).complaint == nil)
        (settings.isOn, settings.share, settings.window, settings.hold, settings.spread) = (false, 70, 5, 60, 0)
        #expect(BrakeSettings.read(Array(settings.text.utf8)).settings == settings)
        for (text, part) in [
            ("share=0", "share is \"0\""), ("share=100", "1 to 99"), ("hold=-1", "hold"), ("hold=x", "hold"),
            ("shares=5", "shares"), ("of", "\"of\""), ("on=", "\"on\""), ("window=99999999999999999999", "window"),
            ("off =5", "\"\""),
        ] {
            let (settings, complaint) = BrakeSettings.read(Array(text.utf8))
            #expect(settings == .standard && complaint?.contains(part) == true, "\(text): \(complaint ?? "fine")")
        }
    }

    @Test("Reports are read back as written, and nothing else is one")
    func reports() {
        let report = BrakeReport(
            phase: .spreading, held: 1, silent: 2, leases: 3, origins: 4, since: 5, until: -6, term: 7)
        #expect(BrakeReport(Array(report.text.utf8)) == report)
        #expect(BrakeReport(Array(report.text.dropFirst().utf8)) == nil && BrakeReport([]) == nil)
        #expect(BrakeReport(Array(report.text.dropLast().utf8)) == nil)
    }

    @Test("A key belongs to a prefix only below its root, and the empty prefix is none")
    func keys() {
        let key = BrakeKeys.key(BrakeKeys.settings, of: Key("/s/"))
        #expect(key == Key("ganglion/brake/settings//s/"))
        #expect(BrakeKeys.prefix(of: key, below: BrakeKeys.settings) == Key("/s/"))
        #expect(BrakeKeys.prefix(of: key, below: BrakeKeys.reports) == nil)
        #expect(BrakeKeys.prefix(of: BrakeKeys.settings, below: BrakeKeys.settings) == nil)
    }
}
