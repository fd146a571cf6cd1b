import KVStore
import Logging
import RegistryModel
import Replica

/// The brake on mass expiry speaks up: once when it takes hold and once when it ends, with the command that ends it.
extension MemberCore {
    func report(_ brake: BrakeNotice) {
        var metadata: Logger.Metadata = [:]
        if let report = brake.report {
            metadata = [
                "phase": "\(report.phase.rawValue)", "held": "\(report.held)", "silent": "\(report.silent)",
                "leases": "\(report.leases)", "origins": "\(report.origins)",
            ]
        }
        switch brake.notice {
        case .engaged(let prefix):
            metrics.recordBrakeEngaged()
            metadata["reason"] = "mass-expiry"
            metadata["release"] = "registryctl brake release \(prefix.text)"
            logger.error(
                "brake: most leases below \(prefix.text) would end together; they are held", metadata: metadata)
        case .changed(let prefix):
            logger.info("brake: leases below \(prefix.text) are held", metadata: metadata)
        case .ended(let prefix, let ending, let released):
            metadata["reason"] = "\(ending.rawValue)"
            metadata["released"] = "\(released)"
            logger.warning("brake: leases below \(prefix.text) are no longer held", metadata: metadata)
        }
    }
}
