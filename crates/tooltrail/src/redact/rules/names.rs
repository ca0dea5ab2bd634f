//! Decides whether a name says that its value is secret.

use std::borrow::Cow;

use crate::redact::rules::words::{ABOUT, ASKS, CODES, OPEN_KEYS, OPEN_TOKENS, PASSWORDS, WORLD};

/// How clearly a name says that its value is secret, with the rule of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redact) enum Name {
    /// The value is secret, whatever it looks like.
    Strong(&'static str),
    /// The value is secret if it looks like a token.
    Weak(&'static str),
}

/// The words by which names are found in a text. A name without any of them is found only by `code` or a word of
/// `WORLD`.
pub(in crate::redact) const TRIGGERS: &[&str] = &[
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
    "pw",
    "pin",
    "sessid",
    "sessionid",
    "csrf",
    "webhook_url",
    "psk",
    "kennwort",
    "senha",
    "contrase",
    "ssn",
    "answer",
    "_hash",
    "card",
    "cc_n",
    "ccn",
    "mfa",
    "seed",
    "connect.sid",
    // Words for a password in other languages.
    "wachtwoord",
    "haslo",
    "heslo",
    "jelszo",
    "parola",
    "sifre",
    "losenord",
    "salasana",
    "adgangskode",
    "lozinka",
    "geslo",
    "parool",
    "slaptazodis",
    "katasandi",
    "kata sandi",
    "kata_sandi",
    "mat_khau",
    "mat khau",
];

/// The rule for payment cards. A number is a hit only if its check digit is correct or its name is that of a card.
pub(in crate::redact) const CARD: &str = "card-number";
/// The rule for one-time codes. A value is a hit only if it looks like such a code.
pub(in crate::redact) const ONE_TIME: &str = "one-time-code";
/// The rule for seed phrases, which restore a wallet.
pub(in crate::redact) const SEED: &str = "seed-phrase";

/// Judges a name in any spelling: snake case, kebab case, camel case, capitals, with prefixes. Returns `None` if the
/// name does not say that its value is secret.
pub(in crate::redact) fn judge(name: &str) -> Option<Name> {
    if !name.is_ascii() && WORLD.iter().any(|word| name.to_lowercase().contains(word)) {
        return Some(Name::Strong("password"));
    }
    let mut room = [0; ROOM];
    let lower = parted(name, &mut room);
    let mut few = [""; WORDS_FEW];
    let words = words(&lower, &mut few);
    let last = *words.last()?;
    let before = words.len().checked_sub(2).map_or("", |at| words[at]);
    let first = words[0];
    if matches!(last, "code" | "codes") && CODES.contains(before) {
        return Some(Name::Strong(ONE_TIME));
    }
    if matches!((before, last), ("security", "answer")) {
        return Some(Name::Strong("answer"));
    }
    if let Some(card) = card(before, last) {
        return Some(card);
    }
    // A private key in the configuration of a Kubernetes cluster.
    if words.ends_with(&["client", "key", "data"]) {
        return Some(Name::Strong("private-key"));
    }
    let number = words.len() == 1 && last.bytes().all(|b| b.is_ascii_digit());
    if number || ABOUT.contains(last) || words.len() > 1 && ASKS.contains(first) {
        return None;
    }
    if words.iter().any(|word| is_password(word)) {
        let strong = !matches!(last, "pass" | "pw" | "pwd") || words.len() > 1;
        return Some(if strong { Name::Strong("password") } else { Name::Weak("password") });
    }
    if words.iter().any(|word| is_secret(word)) {
        return Some(Name::Strong("secret"));
    }
    let header = name.starts_with("X-") || name.starts_with("x-");
    tokens(&words, before, last).or_else(|| keys(&words, before, last, header))
}

fn is_password(word: &str) -> bool {
    let stem = word.get(..word.len().saturating_sub(1)).unwrap_or("");
    PASSWORDS.contains(word)
        || matches!(stem, "password" | "passwd")
        || word.ends_with("password")
        || word.ends_with("passwd")
}

fn is_secret(word: &str) -> bool {
    matches!(word, "secrets" | "credential" | "credentials" | "creds" | "secretkey" | "ssn") || word.ends_with("secret")
}

fn card(before: &str, last: &str) -> Option<Name> {
    let named =
        matches!(before, "card" | "creditcard" | "cc" | "pan" | "payment") && matches!(last, "number" | "no" | "num");
    let alone = before.is_empty() && last == "card";
    (named || alone || matches!(last, "cardnumber" | "ccnumber" | "creditcard" | "pan" | "cardno"))
        .then_some(Name::Strong(CARD))
}

fn tokens(words: &[&str], before: &str, last: &str) -> Option<Name> {
    if matches!(last, "cookie" | "cookies" | "cookie2") && words.len() <= 2 && before != "accept" {
        return Some(Name::Strong("cookie"));
    }
    if (before, last) == ("connect", "sid") {
        return Some(Name::Weak("token"));
    }
    if last == "authorization" {
        return Some(Name::Strong("authorization"));
    }
    if last == "mnemonic"
        || matches!(last, "phrase" | "words")
            && matches!(before, "seed" | "recovery" | "mnemonic" | "secret" | "backup")
    {
        return Some(Name::Strong(SEED));
    }
    if matches!(last, "otp" | "totp" | "mfa" | "cvv" | "cvc" | "cvv2" | "pincode" | "pin" | "passcode") {
        return Some(Name::Strong(ONE_TIME));
    }
    if matches!(last, "sessid" | "phpsessid" | "jsessionid" | "sessionid" | "seed" | "csrf") && words.len() <= 2 {
        return Some(Name::Weak("token"));
    }
    // Tokens that grant access. Other names with `tokens` mostly count the tokens of a model.
    if last == "tokens"
        && matches!(
            before,
            "access" | "auth" | "api" | "refresh" | "bearer" | "session" | "csrf" | "id" | "personal" | "device"
        )
    {
        return Some(Name::Strong("token"));
    }
    if matches!(last, "jwt" | "bearer") || last.ends_with("token") {
        let strong = words.len() > 1 || last != "bearer";
        return (!OPEN_TOKENS.contains(before)).then_some(if strong {
            Name::Strong("token")
        } else {
            Name::Weak("token")
        });
    }
    None
}

fn keys(words: &[&str], before: &str, last: &str, header: bool) -> Option<Name> {
    let sure = matches!(
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
            | "hmac"
            | "unseal"
    );
    if last.ends_with("apikey") || matches!(last, "authkey" | "accesskey" | "privatekey") || last == "key" && sure {
        return Some(Name::Strong("api-key"));
    }
    if last == "key" && header {
        return Some(Name::Strong("api-key"));
    }
    if last == "keys" && matches!(before, "api" | "private" | "secret") {
        return Some(Name::Strong("api-key"));
    }
    if last == "key" && !OPEN_KEYS.contains(before) || matches!(last, "auth" | "signature" | "sig") {
        return Some(Name::Weak("api-key"));
    }
    if last == "hash" && matches!(before, "salted" | "nt" | "lm" | "ntlm") {
        return Some(Name::Weak("password-hash"));
    }
    // One letter or a number after the word: `key2`, `token_b`.
    let numbered = last.len() == 1 || last.bytes().all(|b| b.is_ascii_digit());
    (numbered && words.len() > 1 && matches!(before, "token" | "key")).then_some(Name::Weak("api-key"))
}

/// Bytes of a split name, and number of its words, that are stored without allocation. Hardly any name has more.
const ROOM: usize = 160;
const WORDS_FEW: usize = 16;

/// Returns a name in lower case with spaces between its words.
fn parted<'r>(name: &str, room: &'r mut [u8; ROOM]) -> Cow<'r, str> {
    let bytes = name.as_bytes();
    // Each byte may need a space before it.
    if 2 * bytes.len() > ROOM {
        let mut parted = Vec::with_capacity(2 * bytes.len());
        part(bytes, |byte| parted.push(byte));
        return String::from_utf8(parted).unwrap_or_default().into();
    }
    let mut length = 0;
    part(bytes, |byte| {
        room[length] = byte;
        length += 1;
    });
    std::str::from_utf8(&room[..length]).unwrap_or_default().into()
}

fn part(bytes: &[u8], mut push: impl FnMut(u8)) {
    for (at, &byte) in bytes.iter().enumerate() {
        // Letters that are not ASCII are omitted and do not split a word: `contraseña` becomes `contrasea`.
        if !byte.is_ascii_alphanumeric() && byte.is_ascii() {
            push(b' ');
            continue;
        }
        let before = at.checked_sub(1).map_or(b' ', |at| bytes[at]);
        let after = bytes.get(at + 1).copied().unwrap_or(b' ');
        let hump = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || before.is_ascii_uppercase() && after.is_ascii_lowercase());
        let after_number = byte.is_ascii_alphabetic() && before.is_ascii_digit() && at == 1;
        if hump || after_number {
            push(b' ');
        }
        if byte.is_ascii() {
            push(byte.to_ascii_lowercase());
        }
    }
}

/// Returns the words of a split name, and replaces some words for a password by their usual spelling.
fn words<'w, 'p>(parted: &'p str, few: &'w mut [&'p str; WORDS_FEW]) -> Cow<'w, [&'p str]> {
    let mut words = parted.split(' ').filter(|word| !word.is_empty());
    let mut count = 0;
    for (place, word) in few.iter_mut().zip(&mut words) {
        *place = word;
        count += 1;
    }
    let more = words.next();
    let words: Cow<'w, [&'p str]> = match more {
        None => Cow::Borrowed(&few[..count]),
        Some(next) => few.iter().copied().chain([next]).chain(words).collect::<Vec<_>>().into(),
    };
    match *words {
        ["contrasea"] => Cow::Borrowed(&["contrasena"]),
        [.., "mot", "de", "passe"] => Cow::Borrowed(&["motdepasse"]),
        [.., "mat", "khau"] | [.., "kata", "sandi"] => Cow::Borrowed(&["katasandi"]),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, secret: bool) {
        assert_eq!(judge(name).is_some(), secret, "{name}");
    }

    #[test]
    fn names_in_every_spelling() {
        for name in "password db_password DB_PASSWORD dbPassword x-api-key apiKey API_KEY X-Acme-Token client_secret \
                     Authorization Set-Cookie password_hash accessToken otp seed_phrase contraseña mot_de_passe \
                     cardNumber access_tokens refreshTokens wachtwoord Hasło şifre salasana пароль DB_ПАРОЛЬ 密码 パスワード 비밀번호 \
                     รหัสผ่าน lösenord mat_khau kata_sandi client-key-data two_factor_code mytoken rootPassword2 PHPSESSID"
            .split_whitespace()
        {
            check(name, true);
        }
        for name in
            "max_tokens token_count tokens prompt_tokens token_budget session_id public_key key_id monkey hasPassword \
                     forgot_password zip_code next_token secret_arn compass spinning GPG_KEY"
                .split_whitespace()
        {
            check(name, false);
        }
    }
}
