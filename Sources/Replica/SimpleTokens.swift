import DequeModule
import Primitives
import RegistryModel

/// The tokens that logins were answered with, by this member's own clock. Every member learns them from the log and
/// none writes them down: a restart forgets them, and clients log in again.
struct SimpleTokens: Sendable {
    private struct Login: Sendable {
        var user: AuthName
        var until: Instant
    }

    private var byToken: [String: Login] = [:]
    /// Every known token, and when to look whether it is still in use.
    private var checks = Deque<(token: String, at: Instant)>()

    var count: Int { byToken.count }

    mutating func learn(_ token: String, of user: AuthName, lifetime: TimeSpan, at now: Instant) {
        forgetOver(at: now)
        if byToken.updateValue(Login(user: user, until: now + lifetime), forKey: token) == nil {
            checks.append((token, now + lifetime))
        }
    }

    /// Whose token it is; being asked for, it lives on.
    mutating func user(of token: String, lifetime: TimeSpan, at now: Instant) -> AuthName? {
        guard let login = byToken[token], login.until > now else { return nil }
        byToken[token]?.until = now + lifetime
        return login.user
    }

    mutating func forget(_ user: AuthName) {
        checks.removeAll { check in
            guard byToken[check.token]?.user == user else { return false }
            byToken[check.token] = nil
            return true
        }
    }

    mutating func removeAll() {
        byToken.removeAll()
        checks.removeAll()
    }

    /// Tokens out of use take no room for longer than until the next login; those in use are looked at again when
    /// they may have run out.
    private mutating func forgetOver(at now: Instant) {
        while let check = checks.first, check.at <= now {
            checks.removeFirst()
            guard let login = byToken[check.token] else { continue }
            if login.until <= now {
                byToken[check.token] = nil
            } else {
                checks.append((check.token, login.until))
            }
        }
    }

    /// The log index at the end of a token of ours: the entry that every member learned it from; nil when it is not
    /// of that form.
    static func index(in token: String) -> LogIndex? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = UInt64(parts[1]) else { return nil }
        return LogIndex(number)
    }
}
