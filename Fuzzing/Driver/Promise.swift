/// Ends the process with a message that release builds print as well, unlike `precondition`.
func promise(_ holds: Bool, _ message: @autoclosure () -> String) {
    if !holds { fatalError(message()) }
}
