//! What a sender may say about its entries, by its token.

use tooltrail::entry::{receive, receive_finished};
use tooltrail::{Call, Identity, Timestamp, UNKNOWN_USER, Via, Zone};

use crate::account::account_of;
use crate::tokens::{Kind, Token};

/// How far the clock of a sender may be ahead of the service's clock. Clocks differ by minutes at worst.
const AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;

/// How late an entry may arrive before its time of arrival is stored in it too.
const BEHIND_MS_MAX: i64 = 60 * 1_000;

/// The events of its own that a sender of kind spool may report.
const REPORTED: [&str; 3] = ["tooltrail.gap", "tooltrail.incident", "tooltrail.tools"];

/// The sender of a request.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) token: Token,
    /// The user id of a client that uses a Unix socket.
    pub(super) uid: Option<u32>,
}

impl Sender {
    /// Whether the sender may deliver entries that it has recorded itself.
    pub(super) const fn delivers(&self) -> bool {
        self.token.kind.is_some()
    }

    /// Reads one entry of this sender, and replaces what it must not say.
    ///
    /// # Errors
    /// Why the line is no entry.
    pub(super) fn read(&self, text: &str, zone: &Zone, now: Timestamp) -> Result<Call, String> {
        let finished = match self.token.kind {
            Some(kind) => Some(receive_finished(text, zone).map_err(|error| error.message())?)
                .filter(|call| call.is_finished() && may_deliver(kind, call)),
            None => None,
        };
        let mut call = match finished {
            Some(call) => call,
            None => {
                let mut call = receive(text, zone).map_err(|error| error.message())?;
                call.via = Via::Http;
                if let Some(id) = call.id.take() {
                    call.add_extra("id", format!("\"{id}\""));
                }
                call
            }
        };
        if call.via == Via::Tooltrail {
            self.sign(&mut call);
        } else {
            self.identify(&mut call);
        }
        check_time(&mut call, now);
        Ok(call)
    }

    /// Sets the user of a call, and whether that is known or only claimed.
    fn identify(&self, call: &mut Call) {
        let known = match (&self.token.user, self.token.kind, self.uid) {
            (Some(user), ..) => Some(user.clone()),
            (None, Some(Kind::Spool), Some(uid)) => Some(account_of(uid)),
            _ => None,
        };
        match known {
            Some(user) => {
                let claimed = std::mem::replace(&mut call.user, user);
                call.claimed_user = (!claimed.is_empty() && claimed != call.user).then_some(claimed);
                call.identity = Some(Identity::Verified);
            }
            None => call.identity = (!call.user.is_empty()).then_some(Identity::Claimed),
        }
    }

    /// Says in an event which token has reported it.
    fn sign(&self, call: &mut Call) {
        if self.token.kind == Some(Kind::Spool) {
            let known = self.token.user.clone().or_else(|| self.uid.map(account_of));
            call.user = known.unwrap_or_else(|| UNKNOWN_USER.to_owned());
        }
        let mut args = serde_json::from_str::<serde_json::Map<_, _>>(&call.args).unwrap_or_default();
        args.insert("token".to_owned(), self.token.name.clone().into());
        call.args = serde_json::Value::Object(args).to_string();
    }
}

/// Whether a sender of this kind may say how this finished entry was recorded.
fn may_deliver(kind: Kind, call: &Call) -> bool {
    match (kind, call.via) {
        (Kind::Relay, _) | (Kind::Spool, Via::Hook | Via::Proxy) => true,
        (Kind::Spool, Via::Tooltrail) => REPORTED.contains(&&*call.tool),
        (Kind::Spool, _) => false,
    }
}

/// Replaces a time that is in the future with the time of arrival, and notes the time of arrival of a late entry.
fn check_time(call: &mut Call, now: Timestamp) {
    let Some(ts) = call.ts else { return };
    let ahead_ms = ts.as_millis() - now.as_millis();
    if ahead_ms > AHEAD_MS_MAX {
        call.add_extra("claimed_ts", format!("\"{ts}\""));
        call.ts = Some(now);
        // Its id has the time that it claims.
        call.forget_id();
    } else if -ahead_ms > BEHIND_MS_MAX {
        call.add_extra("received", format!("\"{now}\""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Role, TokenStore};

    const NOW: i64 = 1_764_000_000_000;

    fn read(kind: Option<Kind>, user: Option<&str>, uid: Option<u32>, line: &str) -> Call {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("keys"));
        store.add_of_kind("t", Role::Ingest, kind, user).unwrap();
        let token = store.load().unwrap().iter().next().unwrap().clone();
        Sender { token, uid }.read(line, &Zone::UTC, Timestamp::from_millis(NOW)).unwrap()
    }

    fn finished(tool: &str, via: &str) -> String {
        let ts = Timestamp::from_millis(NOW);
        format!(
            r#"{{"ts":"{ts}","user":"bob","tool":"{tool}","args":{{"lost":3}},"status":"ok","result_chars":0,"result_snippet":"","id":"{}","via":"{via}","rule":"r","salt":"AAAAAAAAAAAAAAAAAAAAAA"}}"#,
            tooltrail::EntryId::new(ts, [7; 10]),
        )
    }

    #[test]
    fn a_kind_says_what_a_sender_may_deliver() {
        let check = |kind, tool: &str, via: &str, expected: (bool, Via)| {
            let call = read(kind, None, None, &finished(tool, via));
            assert_eq!((call.is_finished(), call.via), expected, "{kind:?} {tool} {via}");
            assert_eq!(call.rule.is_some(), expected.0);
        };
        check(None, "t", "hook", (false, Via::Http));
        check(Some(Kind::Spool), "t", "hook", (true, Via::Hook));
        check(Some(Kind::Spool), "t", "proxy", (true, Via::Proxy));
        check(Some(Kind::Spool), "t", "toolbox", (false, Via::Http));
        check(Some(Kind::Spool), "tooltrail.gap", "tooltrail", (true, Via::Tooltrail));
        check(Some(Kind::Spool), "tooltrail.erase", "tooltrail", (false, Via::Http));
        check(Some(Kind::Relay), "t", "toolbox", (true, Via::Toolbox));
        check(Some(Kind::Relay), "tooltrail.erase", "tooltrail", (true, Via::Tooltrail));
    }

    #[test]
    fn the_user_is_the_tokens_or_that_of_the_socket() {
        let check = |kind, user, uid, expected: (&str, Option<&str>, Identity)| {
            let call = read(kind, user, uid, &finished("t", "hook"));
            let found = (&*call.user, call.claimed_user.as_deref(), call.identity.unwrap());
            assert_eq!(found, expected, "{kind:?} {user:?} {uid:?}");
        };
        check(Some(Kind::Spool), Some("alice"), Some(0), ("alice", Some("bob"), Identity::Verified));
        check(Some(Kind::Spool), None, Some(0), ("root", Some("bob"), Identity::Verified));
        check(Some(Kind::Spool), None, None, ("bob", None, Identity::Claimed));
        check(Some(Kind::Relay), None, Some(0), ("bob", None, Identity::Claimed));
        check(None, None, Some(0), ("bob", None, Identity::Claimed));
        let gap = read(Some(Kind::Spool), Some("alice"), None, &finished("tooltrail.gap", "tooltrail"));
        assert_eq!((&*gap.user, &*gap.args), ("alice", r#"{"lost":3,"token":"t"}"#));
    }
}
