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
            let answer = state.policy.judge(hello, newest: state.lives[hello.from])
            guard answer.refusal == .none else { return answer }
            if !state.policy.peers.contains(hello.from), !state.strangers.contains(hello.from) {
                guard state.strangers.count < PeerTransport.strangersMax else {
                    return state.policy.answer(.unknownSender, "too many members that are not known here dial this one")
                }
                state.strangers.append(hello.from)
                state.links[hello.from] = makeLink(to: hello.from)
                isNew = true
            }
            earlier = PeerTransport.note(hello.incarnation, of: hello.from, in: &state)
            state.accepted[ObjectIdentifier(link)] = Accepted(
                link: link, peer: hello.from, incarnation: hello.incarnation)
            state.told[hello.from] = hello.addresses
            dialed = state.links[hello.from]
            addresses = state.addresses(of: hello.from)
            return answer
        }
        guard answer.refusal == .none else { return answer }
        PeerTransport.end(earlier)
        dialed?.leaveLives(before: hello.incarnation)
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

    func ended(_ link: AcceptedLink) {
        let unwanted = state.withLock { state -> DialedLink? in
            guard let ended = state.accepted.removeValue(forKey: ObjectIdentifier(link)) else { return nil }
            // A stranger counts as long as it dials us.
            guard let place = state.strangers.firstIndex(of: ended.peer),
                !state.accepted.values.contains(where: { $0.peer == ended.peer })
            else { return nil }
            state.strangers.remove(at: place)
            return state.links.removeValue(forKey: ended.peer)
        }
        _ = unwanted?.stop()
    }

    /// Remembers a life; returns the accepted links of earlier ones.
    private static func note(_ life: Incarnation, of member: MemberID, in state: inout State) -> [AcceptedLink] {
        guard life > state.lives[member] ?? Incarnation(0) else { return [] }
        state.lives[member] = life
        let earlier = state.accepted.filter { $0.value.peer == member && $0.value.incarnation < life }
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
                incarnation: state.policy.incarnation, addresses: state.ownAddresses)
        }
    }

    /// - Returns: false when a later life of the peer was seen.
    fileprivate func learn(_ life: Incarnation, of peer: MemberID) -> Bool {
        var earlier: [AcceptedLink] = []
        let isLatest = state.withLock { state in
            guard life >= state.lives[peer] ?? Incarnation(0) else { return false }
            earlier = PeerTransport.note(life, of: peer, in: &state)
            return true
        }
        PeerTransport.end(earlier)
        return isLatest
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
            ?? Hello(cluster: ClusterID(0), from: MemberID(0), to: peer, incarnation: Incarnation(0))
    }

    func learn(_ life: Incarnation, of peer: MemberID) -> Bool {
        transport?.learn(life, of: peer) ?? false
    }
}
