/// A .proto file as server reflection hands it out.
package struct ProtoFile: Sendable {
    /// As other files import it.
    package let name: String
    package let imports: [String]
    /// Fully qualified names of its services, methods, messages, fields and enums.
    package let symbols: [String]
    /// Its `google.protobuf.FileDescriptorProto`.
    package let base64: StaticString
}
