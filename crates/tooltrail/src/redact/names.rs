//! Which names say that their value is secret.

/// How much a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The value is secret whatever it looks like.
    Strong(&'static str),
    /// The value is secret if it looks like a token.
    Weak(&'static str),
}

/// Words that begin a search in text; a name without any of them is never secret.
pub(super) const TRIGGERS: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "auth",
    "credential",
    "cookie",
    "otp",
    "cvv",
    "cvc",
    "mnemonic",
    "phrase",
    "jwt",
    "bearer",
    "signature",
    "creds",
    "_pw",
    "pin_code",
    "pincode",
    "sessid",
    "csrf",
    "webhook_url",
];

/// Last words that turn a secret's name into something about the secret.
const ABOUT: &[&str] = &[
    "id",
    "ids",
    "name",
    "names",
    "type",
    "types",
    "count",
    "counts",
    "budget",
    "limit",
    "limits",
    "max",
    "min",
    "ttl",
    "seconds",
    "minutes",
    "expiry",
    "expires",
    "expiration",
    "expired",
    "length",
    "len",
    "size",
    "url",
    "uri",
    "endpoint",
    "path",
    "file",
    "filename",
    "dir",
    "format",
    "policy",
    "hint",
    "status",
    "state",
    "enabled",
    "disabled",
    "required",
    "strength",
    "version",
    "created",
    "updated",
    "at",
    "in",
    "field",
    "label",
    "prefix",
    "suffix",
    "regex",
    "pattern",
    "usage",
    "cost",
    "price",
    "rotation",
    "algorithm",
    "algo",
    "alg",
    "age",
    "page",
    "description",
    "placeholder",
    "error",
    "errors",
    "valid",
    "index",
    "env",
    "var",
    "ref",
    "kind",
    "used",
    "left",
    "remaining",
    "reset",
    "provider",
    "manager",
    "class",
    "prompt",
    "exists",
    "set",
    "changed",
    "fingerprint",
    "store",
    "ring",
    "board",
    "word",
    "words",
    "frame",
    "bits",
    "map",
    "method",
    "mode",
    "scope",
    "scopes",
    "domain",
    "samesite",
    "timeout",
    "required",
    "present",
    "code",
];
/// Words before `key` that name a key nobody hides.
const OPEN_KEYS: &[&str] = &[
    "public",
    "pub",
    "primary",
    "foreign",
    "sort",
    "cache",
    "partition",
    "lookup",
    "hash",
    "dict",
    "object",
    "map",
    "group",
    "unique",
    "shift",
    "ctrl",
    "enter",
    "hot",
    "row",
    "routing",
    "index",
    "search",
    "json",
    "config",
    "storage",
    "bucket",
    "query",
    "registry",
    "translation",
    "i18n",
    "idempotency",
    "range",
    "item",
    "sorting",
    "column",
    "data",
    "issue",
    "project",
    "arrow",
    "escape",
    "tab",
    "no",
    "any",
    "each",
    "new",
    "old",
    "locale",
    "message",
    "event",
    "composite",
    "natural",
    "surrogate",
    "candidate",
    "parent",
    "child",
    "feature",
    "flag",
    "metadata",
    "attribute",
    "property",
];

/// Judges a name in any spelling: snake, kebab, camel, screaming, with prefixes.
pub(super) fn judge(name: &str) -> Option<Name> {
    let words = words(name);
    let last = words.last()?.as_str();
    let before = words.len().checked_sub(2).map_or("", |at| words[at].as_str());
    let any = |set: &[&str]| words.iter().any(|word| set.contains(&word.as_str()));
    if matches!(
        (before, last),
        (
            "otp" | "pin" | "mfa" | "totp" | "verification" | "security" | "auth" | "backup" | "recovery",
            "code" | "codes"
        )
    ) {
        return Some(Name::Strong("one-time-code"));
    }
    if matches!((before, last), ("webhook", "url") | ("database" | "db" | "redis", "dsn") | ("connection", "string")) {
        return None;
    }
    if ABOUT.contains(&last) || last.bytes().all(|b| b.is_ascii_digit()) && words.len() == 1 {
        return None;
    }
    if any(&[
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "pw",
        "passwords",
        "pass",
        "pgpassword",
        "sshpass",
        "userpassword",
        "rootpassword",
        "dbpassword",
        "cleartextpassword",
    ]) {
        let strong = !matches!(last, "pass" | "pw" | "pwd") || words.len() > 1;
        return Some(if strong { Name::Strong("password") } else { Name::Weak("password") });
    }
    if any(&["secret", "secrets", "credential", "credentials", "creds", "clientsecret", "secretkey"]) {
        return Some(Name::Strong("secret"));
    }
    if matches!(last, "cookie" | "cookies") && words.len() <= 2 && before != "accept" {
        return Some(Name::Strong("cookie"));
    }
    if matches!(last, "authorization" | "cookie2") {
        return Some(Name::Strong("authorization"));
    }
    if matches!(last, "mnemonic") || last == "phrase" && matches!(before, "seed" | "recovery" | "mnemonic" | "secret") {
        return Some(Name::Strong("seed-phrase"));
    }
    if matches!(last, "otp" | "totp" | "cvv" | "cvc" | "cvv2" | "pincode" | "pin") {
        return Some(Name::Strong("one-time-code"));
    }
    if matches!(last, "token" | "jwt" | "bearer" | "authtoken" | "accesstoken" | "refreshtoken" | "csrf" | "sessid") {
        let open = matches!(
            before,
            "next"
                | "page"
                | "cancellation"
                | "cancel"
                | "continuation"
                | "sync"
                | "per"
                | "eos"
                | "bos"
                | "pad"
                | "unk"
                | "mask"
                | "special"
        );
        return (!open).then_some(if words.len() > 1 || last != "bearer" {
            Name::Strong("token")
        } else {
            Name::Weak("token")
        });
    }
    if matches!(last, "apikey" | "authkey" | "accesskey" | "privatekey")
        || last == "keys" && matches!(before, "api" | "private" | "secret")
    {
        return Some(Name::Strong("api-key"));
    }
    if last == "key"
        && matches!(
            before,
            "api"
                | "access"
                | "private"
                | "secret"
                | "auth"
                | "encryption"
                | "signing"
                | "license"
                | "master"
                | "account"
                | "shared"
        )
    {
        return Some(Name::Strong("api-key"));
    }
    if last == "key" && !OPEN_KEYS.contains(&before)
        || matches!(last, "auth" | "signature" | "sig" | "salt") && last != "salt"
    {
        return Some(Name::Weak("api-key"));
    }
    let numbered = last.bytes().all(|b| b.is_ascii_digit());
    (numbered && matches!(before, "token" | "key")).then_some(Name::Weak("api-key"))
}

/// The words of a name, lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let bytes = name.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = at.checked_sub(1).map_or(b' ', |at| bytes[at]);
        let after = bytes.get(at + 1).copied().unwrap_or(b' ');
        let hump = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || before.is_ascii_uppercase() && after.is_ascii_lowercase());
        if hump {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, secret: bool) {
        assert_eq!(judge(name).is_some(), secret, "{name}");
    }

    #[test]
    fn names_in_every_spelling() {
        for name in
            ["password", "db_password", "DB_PASSWORD", "dbPassword", "x-api-key", "apiKey", "API_KEY", "X-Acme-Token"]
        {
            check(name, true);
        }
        for name in
            ["client_secret", "Authorization", "Set-Cookie", "password_hash", "accessToken", "otp", "seed_phrase"]
        {
            check(name, true);
        }
        for name in
            ["max_tokens", "token_count", "tokens", "token_budget", "session_id", "public_key", "key_id", "monkey"]
        {
            check(name, false);
        }
    }
}
