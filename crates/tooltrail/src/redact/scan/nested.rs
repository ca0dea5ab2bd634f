//! Finds secrets in lists and objects that belong to the name of a secret in a text: `"password": ["…"]`,
//! `"api_key": {"value": "…"}`.

use crate::redact::rules::benign::{is_password, is_random};
use crate::redact::rules::names::{self, Name};
use crate::redact::scan::assign::value;
use crate::redact::scan::boundaries::floor;
use crate::redact::scan::hit::Hit;

/// Bytes of a list or an object that are searched, and its maximum depth.
const NESTED_MAX: usize = 2_048;
const DEPTH_MAX: usize = 8;
/// Keys whose values describe a secret and are not secret themselves.
const TELLING: [&str; 12] =
    ["id", "name", "type", "user", "username", "domain", "path", "description", "title", "format", "pattern", "help"];

/// Pushes the secret strings of the list or object that begins at `at`. Returns where the search ended, or `None` if
/// there were no secret strings.
pub(in crate::redact) fn values(text: &str, at: usize, name: Name, hits: &mut Vec<Hit>) -> Option<usize> {
    let Name::Strong(_) = name else { return None };
    let near = &text[..floor(text, at + NESTED_MAX)];
    let bytes = near.as_bytes();
    let (mut open, mut at, mut telling, before) = (Vec::new(), at, false, hits.len());
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'[' | b'{' if open.len() < DEPTH_MAX => open.push(byte),
            b']' | b'}' => {
                open.pop();
                if open.is_empty() {
                    return (hits.len() > before).then_some(at + 1);
                }
            }
            b'"' | b'\'' => {
                let end = closing(bytes, at + 1, byte)?;
                let inner = &near[at + 1..end];
                let colon = near[end + 1..].trim_start().starts_with([':', '=']);
                match colon {
                    true => telling = is_telling(inner),
                    false if !telling => hits.extend(hit(inner, at + 1, name, open.last() == Some(&b'{'))),
                    false => {}
                }
                at = end;
            }
            b',' => telling = false,
            // The end of a statement, or a sign that does not occur between the elements of a list.
            b';' | b'(' | b')' | b'<' | b'>' | b'[' | b'{' => break,
            _ => {}
        }
        at += 1;
    }
    // A list that was cut ends at the end of the text.
    (hits.len() > before).then_some(at)
}

fn closing(bytes: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    while let Some(found) = memchr::memchr2(quote, b'\\', bytes.get(at..)?).map(|length| at + length) {
        match bytes[found] {
            b'\\' => at = found + 2,
            _ => return Some(found),
        }
    }
    None
}

fn is_telling(key: &str) -> bool {
    TELLING.contains(&key) && names::judge(key).is_none()
}

/// Returns the secret in a string of a list or an object. A word alone may be a type or a validation rule, as in
/// `["required", "min:8"]`.
fn hit(inner: &str, at: usize, name: Name, in_object: bool) -> Option<Hit> {
    let hit = value(inner, name)?;
    let secret = &inner[hit.start..hit.end];
    let word = matches!(hit.rule, "password" | "secret") && is_password(secret) && (in_object || !secret.contains(':'));
    let sure = word || is_random(secret);
    (sure || hit.rule == "cookie").then_some(Hit::new(at + hit.start, at + hit.end, hit.rule))
}

#[cfg(test)]
mod tests {
    use crate::redact::Redactor;

    #[test]
    fn lists_objects_and_types_stand_between_a_name_and_its_secret() {
        let redactor = Redactor::new(None);
        for (text, rule) in [
            (r#"{"password":["§"]}"#, "password"),
            (r#"{"password":{"value":"§"}}"#, "password"),
            (r#"{"secrets":{"id":"of-the-db-1","db":"§"}}"#, "secret"),
            (r#"{"api_key": ["§"]}"#, "api-key"),
            (r#"{"headers":{"X-Api-Key":["§"]}}"#, "api-key"),
            (r#"passwords = {'bob': '§'}"#, "password"),
            (r#"const password: string = "§";"#, "password"),
            (r#"let password: &'static str = "§";"#, "password"),
            (r#"var password string = "§""#, "password"),
            (r#"password: Optional[str] = "§""#, "password"),
            (r#"password = SecretStr("§")"#, "password"),
            ("PASSWORD=$'§'", "password"),
            ("ConvertTo-SecureString \"§\" -AsPlainText -Force", "password"),
            (r#"exec: ["/usr/bin/mysql", "-u", "root", "-p§"]"#, "flag"),
            ("run(['sshpass', '-p', '§', 'ssh', 'host'])", "flag"),
            (r#"["curl","-u","bob:§","https://x.example"]"#, "flag"),
            ("sudo -S ls <<EOF\n§\nEOF\n", "flag"),
            ("passwd bob <<'END'\n§\nEND\n", "flag"),
            (" name | password  \n------+-----------\n bob  | §\n", "password"),
            ("+-----+----------+\n| a   | password |\n+-----+----------+\n| bob | § |\n", "password"),
            ("\"user\",\"password\"\n\"bob\",\"§\"\n", "password"),
            ("user;password\nbob;§\n", "password"),
        ] {
            let hidden = text.replace('§', &format!("[redacted:{rule}]"));
            assert_eq!(redactor.text(&text.replace('§', "Zebra77qqQ4")), hidden);
        }
        let cookie = r#"{"Set-Cookie": ["sid=Zebra77qqZebra77qq; Path=/"]}"#;
        assert!(!redactor.text(cookie).contains("Zebra77qq"));
        for text in [
            r#"{"properties":{"password":{"type":"string","description":"Password1 for login"}}}"#,
            "'password' => ['required', 'min:8', 'confirmed']",
            "password: { type: String, required: true, minlength: 8 }",
            r#""tokens": ["hello", "world2", "x1"]"#,
            r#"token: ["CLS", "token1", "next2"]"#,
            r#"secrets: [name, "path"]"#,
            "a | token | b\nfoo | word1 | c",
        ] {
            assert_eq!(redactor.text(text), text);
        }
    }
}
