import Logging
import NIOCore
import Primitives
import Synchronization

// What links ask of the transport; all of it on the transport's loop.
extension PeerTransport: LinkHost {
    func admit(_ hello: Hello, over link: AcceptedLink) -> HelloAnswer {
        var earlier: [AcceptedLink] = []
        var dialed: DialedLink?
        var addresses: [PeerAddress] = []
        var isNew = false
        let answer = state.withLock { state -> HelloAnswer in
            let answer = state.policy.judge(hello, latest: state.lives[hello.from])
            guard answer.refusal == .none else { return answer }
            if !state.policy.peers.contains(hello.from), !state.strangers.contains(hello.from) {
                guard state.strangers.count < PeerTransport.strangersMax else {
                    return state.policy.answer(.unknownSender, "too many members that are not known here dial this one")
                }
                state.strangers.append(hello.from)
                state.links[hello.from] = makeLink(to: hello.from, in: &state)
                isNew = true
            }
            earlier = PeerTransport.note(hello.life, of: hello.from, in: &state)
            state.accepted[ObjectIdentifier(link)] = Accepted(
                link: link, peer: hello.from, life: hello.life)
            state.told[hello.from] = hello.addresses.map { address in
                PeerAddress(host: address.host, port: address.port, isSecure: link.isSecure)
            }
            dialed = state.links[hello.from]
            addresses = state.addresses(of: hello.from)
            return answer
        }
        guard answer.refusal == .none else { return answer }
        PeerTransport.end(earlier)
        dialed?.leaveLives(before: hello.life)
        dialed?.setAddresses(addresses)
        if isNew {
            logger.info("a member that is not known here yet dials: \(String(hello.from.number, radix: 16))")
        }
        return answer
    }

    func introduce(to question: IntroductionQuestion, on loop: any EventLoop) -> EventLoopFuture<IntroductionAnswer> {
        let (versions, introducer) = state.withLock { state -> (ProtocolVersions, Introducer?) in
            guard state.introductions < PeerTransport.introductionsMax else { return (state.policy.versions, nil) }
            if state.introducer != nil { state.introductions += 1 }
            return (state.policy.versions, state.introducer)
        }
        func refusal(_ text: String) -> IntroductionAnswer {
            IntroductionAnswer(versions: versions, content: .refusal(text))
        }
        guard let introducer else {
            return loop.makeSucceededFuture(refusal("this member cannot tell now, ask again"))
        }
        guard versions.agreed(with: question.versions) != nil else {
            state.withLock { $0.introductions -= 1 }
            return loop.makeSucceededFuture(refusal(versions.refusal(of: question.versions)))
        }
        return loop.makeFutureWithTask(introducer).map { introduction in
            IntroductionAnswer(versions: versions, content: .introduction(introduction))
        }.recover { error in
            IntroductionAnswer(versions: versions, content: .refusal("this member cannot tell now: \(error)"))
        }.always { [self] _ in
            state.withLock { $0.introductions -= 1 }
        }
    }

    func traffic(with member: MemberID) -> PeerTraffic? {
        state.withLock { $0.traffic[member] }
    }

    func ended(_ link: AcceptedLink) {
        let unwanted = state.withLock { state -> DialedLink? in
            guard let ended = state.accepted.removeValue(forKey: ObjectIdentifier(link)) else { return nil }
            // A stranger counts as long as it dials us.
            guard let place = state.strangers.firstIndex(of: ended.peer),
                !state.accepted.values.contains(where: { $0.peer == ended.peer })
            else { return nil }
            state.strangers.remove(at: place)
            // Anybody can call himself anything: nothing is kept of those who went.
            state.told[ended.peer] = nil
            state.lives[ended.peer] = nil
            state.traffic[ended.peer] = nil
            return state.links.removeValue(forKey: ended.peer)
        }
        _ = unwanted?.stop()
    }

    /// Remembers a life; returns the accepted links of earlier ones.
    private static func note(_ life: Life, of member: MemberID, in state: inout State) -> [AcceptedLink] {
        guard life != state.lives[member] else { return [] }
        state.lives[member] = life
        let earlier = state.accepted.filter { $0.value.peer == member && $0.value.life != life }
        for id in earlier.keys { state.accepted[id] = nil }
        return earlier.values.map(\.link)
    }

    private static func end(_ earlier: [AcceptedLink]) {
        // One process at a time holds a member's directory: the earlier one has ended.
        for link in earlier { link.end(because: "the member has started again", closedByHost: true) }
    }

    fileprivate func hello(to peer: MemberID) -> Hello {
        state.withLock { state in
            Hello(
                versions: state.policy.versions, cluster: state.policy.cluster, from: state.policy.member, to: peer,
                life: state.policy.life, addresses: state.ownAddresses)
        }
    }

    /// - Returns: why the life that answered cannot be the peer's; nil when it can.
    fileprivate func learn(_ life: Life, of peer: MemberID) -> String? {
        var earlier: [AcceptedLink] = []
        let obstacle = state.withLock { state -> String? in
            if let obstacle = life.obstacle(after: state.lives[peer]) { return obstacle }
            earlier = PeerTransport.note(life, of: peer, in: &state)
            return nil
        }
        PeerTransport.end(earlier)
        return obstacle
    }
}

/// A transport for the links that it owns itself.
struct WeakTransport: Sendable {
    private weak let transport: PeerTransport?

    init(_ transport: PeerTransport) {
        self.transport = transport
    }

    func hello(to peer: MemberID) -> Hello {
        transport?.hello(to: peer)
            ?? Hello(
                cluster: ClusterID(0), from: MemberID(0), to: peer, life: Life(Incarnation(0), nonce: 0))
    }

    func learn(_ life: Life, of peer: MemberID) -> String? {
        guard let transport else { return "this member is being stopped" }
        return transport.learn(life, of: peer)
    }
}
