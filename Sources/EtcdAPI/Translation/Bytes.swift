#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension [UInt8] {
    /// The bytes as SwiftProtobuf holds them.
    var data: Data { Data(self) }
}
