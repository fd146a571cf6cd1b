/// The version both agents report.
package enum AgentVersion {
    package static let text = "0.1.0"
}
