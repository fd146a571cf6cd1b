import AgentCore
import Logging
import RegistryClient

extension RegistryEndpoints {
    /// How the client is told of this registry. Certificates that cannot be used are complained about and left to be
    /// tried at each connection: an agent goes on with what it has.
    func clientConfiguration(logger: Logger) throws(RegistryError) -> Registry.Configuration {
        var configuration = try Registry.Configuration(endpoints: hosts)
        configuration.logger = logger
        guard let section = tls else { return configuration }
        var tls = Registry.Configuration.TLS()
        tls.trustedCAFile = section.trustedCAFile
        tls.certificateFile = section.certificateFile
        tls.keyFile = section.keyFile
        tls.serverName = section.serverName
        tls.skipsVerification = section.skipsVerification
        tls.labels = ("registry_tls.ca", "registry_tls.cert", "registry_tls.key")
        configuration.tls = tls
        do {
            try tls.check()
        } catch {
            logger.error("\(hosts.joined(separator: ",")): \(error.message)")
        }
        return configuration
    }
}
