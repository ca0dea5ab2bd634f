//! Tests single cases of the engine, that its time is linear, and that redacting again changes nothing.

use proptest::prelude::*;

use crate::limits::{ARG_CHARS_MAX, FIELD_CHARS_MAX, SNIPPET_CHARS_MAX};
use crate::redact::value::found::FoundSecrets;
use crate::redact::{Redactor, WindowedText};

#[test]
fn time_grows_with_the_text_and_no_faster() {
    let redactor = Redactor::new(None);
    for unit in [
        "a",
        "=",
        "\"",
        "key=",
        "password=",
        "EAAC",
        "eyJ.",
        "-----BEGIN PRIVATE KEY",
        "://",
        "data:",
        "ghp_a",
        "curl -u ",
        "password is ",
        "token=\"\\\"",
        "code 1234 ",
        "/invite/",
        "4 ",
        "orbit canyon ",
        "password:\n",
        "| password ",
        "echo a | sudo -S ",
        "\\u0022password\\u0022:",
        "%22",
        "\x1b[31mpass\x1b[0mword",
        "&quot;",
        "cGFzc3dvcmQ9aHVudGVyMng=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "https://a.test/hook/",
        "пароль ",
        "'password', ",
        "textbox \"password\" ",
        "-----END PRIVATE KEY",
        "as the password",
    ] {
        let time = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            (0..2)
                .map(|_| {
                    let begun = std::time::Instant::now();
                    std::hint::black_box(redactor.text(&text));
                    begun.elapsed()
                })
                .min()
                .unwrap()
        };
        let (small, large) = (time(2_048), time(16_384));
        assert!(large < small * 32 + std::time::Duration::from_millis(20), "{unit}: {small:?} and {large:?}");
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(Redactor::new(None).text(text), expected);
}

#[test]
fn secrets_in_their_surroundings() {
    check("postgres://app:pa%24s@db:5432/app", "postgres://app:[redacted:url-password]@db:5432/app");
    check("pay with 4111 1111 1111 1111 now", "pay with [redacted:card-number] now");
    check("Authorization: Basic dTpwYXNzd29yZA==\r\n", "Authorization: Basic [redacted:authorization]\r\n");
    check("mysql -uroot -phunter2 -e x", "mysql -uroot -p[redacted:flag] -e x");
    check("https://a.test/?page=2&key=ab12cd34ef&x=1", "https://a.test/?page=2&key=[redacted:api-key]&x=1");
    check("<password>hunter2</password>", "<password>[redacted:password]</password>");
    check("mnemonic: apple pear plum\nnext", "mnemonic: [redacted:seed-phrase]\nnext");
    check("password: [redacted:password]", "password: [redacted:password]");
}

#[test]
fn a_token_is_found_behind_whatever_escape() {
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    for before in [
        "\x1b[31m",
        "\x1b[1;38;5;9m",
        "\\x1b[31m",
        "\\u001b[31m",
        "\\033[0m",
        "\\e[1m",
        "\\n",
        "\\u0022",
        "\\x22",
        "%22",
        "&quot;",
    ] {
        check(&format!("a {before}{token}"), &format!("a {before}[redacted:github-pat]"));
    }
    // The end of a word is not an escape.
    for before in ["word", "[31m", "array[0]m"] {
        let text = format!("{before}{token}");
        assert_eq!(Redactor::new(None).text(&text), text, "{before}");
    }
}

#[test]
fn names_and_sentences_in_other_languages_and_orders() {
    check("the new password for root is hunter29x", "the new password for root is [redacted:password]");
    check("password of the staging account is Xk29!hunter", "password of the staging account is [redacted:password]");
    check("wachtwoord: hunter29x", "wachtwoord: [redacted:password]");
    check("access_tokens=aaa1bbb2ccc5", "access_tokens=[redacted:token]");
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
    check(jwt, "[redacted:jwt]");
    check("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "[redacted:stripe-access-token]");
    check(
        "https://x-access-token:ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com/a/b",
        "https://x-access-token:[redacted:github-pat]@github.com/a/b",
    );
}

#[test]
fn what_only_looks_secret_stays() {
    for text in [
        "password = get_password()",
        "DB_PASSWORD=${DB_PASSWORD}",
        "token: str = None",
        "API_KEY=%API_KEY%",
        "integrity sha512-q9mE7vXkq1P3dQ==",
        "max_tokens: 4096, session_id=ab12cd34ef",
        "const apiKey = options?.apiKey || getApiKey(model)",
        "PWD=/home/acme",
        "the password for the staging account is in the vault",
        "prompt_tokens=4096 tokens: 12",
        "Resolve API key for a model. Default: getApiKeyForModel */",
        "set the password for alice, then run deploy42.sh",
        "parola d'ordine della giornata",
        "unexpected token: identifier2",
        "arn:aws:secretsmanager:eu:123456789012:secret:prod/db-a1b2c3",
        "assert token == expected_token",
        "{\"Key\":\"images/photo-2026-05-05.jpg\"}",
        "key=users/42/avatar-256x256.png",
        "Reservation 482913 to confirm by Friday",
        "docker run -p 8080:80 -u 1000:1000 image",
        "document.cookie = name + value",
        "we walk the dog around the park every single morning before breakfast",
    ] {
        check(text, text);
    }
}

fn cut(text: &str) -> String {
    let mut seen = WindowedText { text: text.to_owned(), chars: 9_999, cut: true };
    Redactor::new(None).seen(&mut seen, &mut FoundSecrets::default());
    seen.text
}

#[test]
fn a_secret_cut_by_the_window_is_hidden_to_the_end() {
    for (text, expected) in [
        ("see ghp_0a1B2c3D4e5F", "see [redacted:github-pat]"),
        ("see sk-ant-api03-0a1B", "see [redacted:anthropic-api-key]"),
        ("password=gr4nite", "password=[redacted:password]"),
        ("{\"token\": \"a1b2c3d4", "{\"token\": \"[redacted:token]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "[redacted:private-key]"),
        ("postgres://app:gr4nite@db", "postgres://app:[redacted:url-password]@db"),
        ("an ordinary end", "an ordinary end"),
    ] {
        assert_eq!(cut(text), expected);
    }
}

/// Tests a secret across or near the end of the window for each limit: nothing of it may remain readable.
#[test]
fn a_window_is_its_limit_and_4096_characters() {
    for limit in [FIELD_CHARS_MAX, SNIPPET_CHARS_MAX, ARG_CHARS_MAX] {
        let window = limit + 4_096;
        for before in [limit - 4, window - 24, window - 8, window, window + 50] {
            let text = format!("{} ghp_{}", "é".repeat(before - 1), "a1B2c3D4e5F6".repeat(3));
            let mut seen = WindowedText::window(text.clone(), limit);
            assert_eq!(seen.cut, text.chars().count() > window);
            assert_eq!(seen.chars, text.chars().count() as u64);
            Redactor::new(None).seen(&mut seen, &mut FoundSecrets::default());
            let rest = seen.text.trim_start_matches('é');
            assert!(["", " ", " [redacted:github-pat]"].contains(&rest), "{limit} {before}: {rest}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_redacted_once_and_for_all(
        parts in proptest::collection::vec(
            prop_oneof![
                ".{0,12}",
                proptest::sample::select(vec![
                    "password", "=", ": ", "\"", "\\\"", "'", "?key=", "Bearer ", "curl -u ", "a:b", "kind: Secret", "data:",
                    "://", "@", "-----BEGIN PRIVATE KEY-----", "-----END", "[redacted:token]", "[redacted:", "]", "token",
                    "4111111111111111", "ab12cd34ef56gh78", "\n", "é", "sshpass -p ", "Cookie: ", ",", "value",
                ]).prop_map(str::to_owned),
            ],
            0..12,
        )
    ) {
        let redactor = Redactor::new(None);
        let text = parts.concat();
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(&redactor.text(&once), &once);
    }
}

/// Every search looks at a window of so many bytes, and a window can end within a character.
#[test]
fn a_window_that_ends_within_a_character_harms_nothing() {
    let redactor = Redactor::new(None);
    let units = [
        "|password|\n",
        "password\tuser\n",
        "password: ",
        "password = [",
        "password: string = \"",
        "curl -u ",
        "sudo -S <<EOF\n",
        "[\"--password\",\"",
        "-----BEGIN PRIVATE KEY-----\n",
        "://",
        "data:",
        "ghp_",
        "Authorization: Basic ",
        "token=",
    ];
    for unit in units {
        for window in [64_usize, 128, 256, 400, 512, 4_096, 8_192] {
            for fill in ["-", "a", "="] {
                for length in window.saturating_sub(unit.len() + 3)..=window + 3 {
                    // Four bytes: whatever the offset, one of the lengths ends within it.
                    let text = format!("{unit}{}\u{1F600}\n|x|\n", fill.repeat(length));
                    let _ = redactor.text(&text);
                }
            }
        }
    }
}
