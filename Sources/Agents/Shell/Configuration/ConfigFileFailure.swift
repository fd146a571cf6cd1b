/// A file that cannot be read, or is no YAML.
package struct ConfigFileFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let file: String
    /// From 1; nil when the file as a whole is meant.
    package let line: Int?
    /// From 1.
    package let column: Int?
    package let message: String

    package init(file: String, line: Int? = nil, column: Int? = nil, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// `nerve.yaml:3:7: did not find expected ',' or '}'`
    package var description: String {
        [file, line.map { String($0) }, column.map { String($0) }].compactMap { $0 }.joined(separator: ":")
            + ": " + message
    }
}
