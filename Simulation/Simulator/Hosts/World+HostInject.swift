/// Until `World.inject` is everybody's.
extension World {
    func inject(_ fault: Fault) throws(Violation) {
        _ = try injectHostFault(fault)
    }
}
