import NIOCore

extension ChannelOptions.Types.SocketOption {
    /// Bounds what the kernel queues unsent (`TCP_NOTSENT_LOWAT`): its send buffer grows to megabytes by itself, and
    /// what is in there can no longer be overtaken. nil where the system has no such option.
    static var unsentLowWater: ChannelOptions.Types.SocketOption? {
        #if os(Linux)
        return ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: 25))
        #else
        return nil
        #endif
    }
}
