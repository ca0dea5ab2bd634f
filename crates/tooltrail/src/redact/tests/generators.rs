//! Generates secrets and similar harmless values from a seed, and puts them into many contexts. The tests check that
//! the secrets are found and the other values are left unchanged.

use crate::call::Call;
use crate::clock::Timestamp;
use crate::redact::rules::benign::entropy;
use crate::redact::rules::shapes::{PREFIXED, Piece, Shape, VENDORS};
use crate::redact::{BoundedCall, Redactor, Tree};

/// A small generator of pseudo-random numbers.
pub(in crate::redact) struct Draw(pub(in crate::redact) u64);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % count
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    pub(in crate::redact) fn chars(&mut self, set: &str, count: usize) -> String {
        (0..count).map(|_| char::from(set.as_bytes()[self.below(set.len())])).collect()
    }

    pub(in crate::redact) fn hex(&mut self, count: usize) -> String {
        self.chars("0123456789abcdef", count)
    }

    pub(in crate::redact) fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|count| self.hex(count)).join("-")
    }

    pub(in crate::redact) fn base64(&mut self, count: usize) -> String {
        self.chars("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", count)
    }

    /// Returns a password of the kind that people choose.
    pub(in crate::redact) fn password(&mut self) -> String {
        let word = self.of(&["granit", "Harbor", "velvet", "Meadow", "cobalt", "Lantern", "walnut", "Zephyr"]);
        let sign = self.of(&["!", "#", "-", "_", "+", ""]);
        format!("{word}{}{sign}{}", 10 + self.below(90), self.chars("abcXYZ789", 3))
    }

    /// Returns a card number with a correct check digit.
    fn card(&mut self) -> String {
        let mut digits = format!("{}{}", self.of(&["4", "52", "37"]), self.chars("0123456789", 14));
        digits.truncate(if digits.starts_with('3') { 14 } else { 15 });
        let last = (b'0'..=b'9').map(char::from).find(|last| {
            let sum = digits.chars().chain([*last]).rev().enumerate().fold(0, |sum, (at, digit)| {
                let digit = digit.to_digit(10).unwrap() * if at % 2 == 1 { 2 } else { 1 };
                sum + digit / 10 + digit % 10
            });
            sum % 10 == 0
        });
        digits.push(last.unwrap());
        digits
    }

    /// Returns a random token of a shape.
    pub(in crate::redact) fn token(&mut self, shape: &Shape) -> String {
        loop {
            let mut token = String::new();
            for piece in shape.pieces() {
                match piece {
                    Piece::Literal(text) => token.push_str(&text),
                    Piece::Choice(texts) => token.push_str(&texts[self.below(texts.len())]),
                    Piece::Run(bytes, least, most) => {
                        let count = least + self.below(most.min(least + 20) - least + 1);
                        (0..count).for_each(|_| token.push(char::from(bytes[self.below(bytes.len())])));
                    }
                }
            }
            if entropy(&token) > shape.entropy && !token.contains(['\n', '"', '\'']) {
                return token;
            }
        }
    }
}

/// Returns all texts of the args and the result of a call after redaction.
pub(in crate::redact) fn readable(redactor: &Redactor, args: &str, result: &str) -> String {
    fn walk(tree: &Tree, out: &mut Vec<String>) {
        match tree {
            Tree::String(seen) | Tree::Deep(seen) => out.push(seen.text.clone()),
            Tree::Number(digits) => out.push(digits.clone()),
            Tree::Array(elements) => elements.iter().for_each(|element| walk(element, out)),
            Tree::Object(members) => members.iter().for_each(|(key, value)| {
                out.push(key.text.clone());
                walk(value, out);
            }),
            Tree::Null | Tree::Bool(_) => {}
        }
    }
    let call = Call::new("alice", "tool", args).ok(result);
    let redacted = redactor.redact(BoundedCall::outside(&call, Timestamp::from_millis(0), redactor));
    let mut out = vec![redacted.fields().result.text.clone()];
    walk(redacted.args(), &mut out);
    out.join("\n")
}

pub(in crate::redact) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns texts in which a value belongs to a name. The words of `name` are joined by underscores.
pub(in crate::redact) fn surroundings(name: &str, value: &str) -> Vec<String> {
    let (upper, kebab) = (name.to_uppercase(), name.replace('_', "-"));
    let camel: String = name
        .split('_')
        .filter(|word| !word.is_empty())
        .enumerate()
        .map(|(n, word)| if n == 0 { word.to_owned() } else { word[..1].to_uppercase() + &word[1..] })
        .collect();
    let percent: String = value
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let json = format!("{{\"id\":7,\"{name}\":{},\"on\":true}}", quoted(value));
    vec![
        format!("export {upper}=\"{value}\" && ./start.sh"),
        format!("export {upper}={value}; ./start.sh"),
        format!("{upper}='{value}' python start.py"),
        format!("# local\nLOG=info\n{upper}={value}\nTZ=UTC\n"),
        format!("A=1\r\n{upper}={value}\r\nB=2\r\n"),
        json.clone(),
        json.replace(':', ": ").replace(',', ",\n  "),
        quoted(&json),
        quoted(&quoted(&json)),
        format!("{{\"{camel}\": {}}}", quoted(value)),
        format!("agentctl login --{kebab}='{value}' --yes"),
        format!("agentctl login --{kebab} {value} --yes"),
        format!("agentctl login --{kebab}={value}"),
        format!("POST /in HTTP/1.1\r\nHost: a.test\r\nX-{kebab}: {value}\r\nAccept: */*\r\n"),
        format!("curl -sS -H 'X-{kebab}: {value}' https://a.test/in"),
        format!("curl -H \"Authorization: Bearer {value}\" https://a.test/in"),
        format!("https://a.test/in?page=2&{name}={percent}&lang=en"),
        format!("ClientError: 403 for https://a.test/in?{name}={percent}\nTraceback (most recent call last):\n"),
        format!(
            "Traceback (most recent call last):\n  File \"run.py\", line 9, in main\n    open_client({name}=\"{value}\")\nValueError: no"
        ),
        format!("12:00:01 INFO start\n12:00:02 DEBUG {name}: {value}\n12:00:03 INFO ready"),
        format!("level=debug {name}={value} user=7"),
        format!("level=debug {name}=\"{value}\" user=7"),
        format!("service: in\n{name}: \"{value}\"\nreplicas: 2"),
        format!("service:\n  {name}: {value}\n  replicas: 2"),
        format!("env:\n  - name: {upper}\n    value: \"{value}\"\n  - name: TZ\n    value: UTC"),
        format!("environment:\n  - {upper}={value}\n  - TZ=UTC"),
        format!("[in]\n{name} = \"{value}\"\n"),
        format!("[in]\n{name} = {value}\n"),
        format!("in.{}={value}\nin.zone=eu", name.replace('_', ".")),
        format!("<in><{name}>{value}</{name}></in>"),
        format!("<add key=\"in.{camel}\" value=\"{value}\" />"),
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"),
        format!("client = in.Client(\n    {name}='{value}',\n    timeout=30,\n)"),
        format!("const {camel} = \"{value}\";\n"),
        format!("{{'id': 7, '{name}': '{value}', 'on': None}}"),
        format!("'{name}' => '{value}',"),
        format!("| name | value |\n|---|---|\n| {name} | {value} |\n"),
        format!("Заметка 設定\n`{name}` = \"{value}\"\n"),
        format!("docker run -e {upper}={value} image"),
        format!("docker run --env \"{upper}={value}\" image"),
        format!("$env:{upper} = \"{value}\""),
        format!("name,{name},zone\nfirst,{value},eu\n"),
    ]
}

fn check(cases: &[(String, String)], floor: f64) {
    let redactor = Redactor::new(None);
    let mut missed = Vec::new();
    for (text, secret) in cases {
        crate::redact::tests::prefilter_equivalence::check(text);
        // Test the text as an argument and as a result, because they are redacted in different ways.
        let args = format!("{{\"text\":{}}}", quoted(text));
        if readable(&redactor, &args, "ok").contains(secret) || readable(&redactor, "{}", text).contains(secret) {
            missed.push(format!("{secret} in {text}"));
        }
    }
    let found = 1.0 - missed.len() as f64 / cases.len() as f64;
    assert!(found >= floor, "{found:.3} of {}: {:#?}", cases.len(), &missed[..missed.len().min(12)]);
}

#[test]
fn tokens_are_found_in_all_surroundings() {
    let (mut draw, mut cases) = (Draw(1), Vec::new());
    for shape in PREFIXED.iter().chain(VENDORS) {
        let word = shape.words.first().copied().unwrap_or("acme").replace(['-', '.'], "_");
        let (token, end) = (draw.token(shape), draw.of(&["token", "api_key", "secret"]));
        let texts = surroundings(&format!("{word}_{end}"), &token);
        cases.extend(texts.into_iter().map(|text| (text, token.clone())));
    }
    check(&cases, 0.985);
}

#[test]
fn tokens_with_a_mark_of_their_own_are_found_under_no_name() {
    let (mut draw, mut cases) = (Draw(2), Vec::new());
    for shape in PREFIXED {
        let token = draw.token(shape);
        for text in [
            "{}",
            "see {} there",
            "first\n{}\nlast",
            "({})",
            "x = \"{}\"",
            "[\"a\",\"{}\"]",
            "https://a.test/{}/x",
            "run {} --now",
        ] {
            cases.push((text.replace("{}", &token), token.clone()));
        }
    }
    check(&cases, 0.985);
}

#[test]
fn passwords_are_found_under_all_names() {
    let (mut draw, mut cases) = (Draw(3), Vec::new());
    for name in
        "password passwd db_password root_pass user_pwd smtp_password client_secret secret_key auth_token access_token \
                 private_key passphrase wifi_psk new_password keystore_password jwt_secret session_token signing_key"
            .split_whitespace()
    {
        let password = draw.password();
        cases.extend(surroundings(name, &password).into_iter().map(|text| (text, password.clone())));
    }
    check(&cases, 0.97);
}

#[test]
fn passwords_are_found_in_commands_addresses_and_sentences() {
    let (mut draw, mut cases) = (Draw(4), Vec::new());
    for text in "mysql -uroot -p{} app|mysqldump --user=root --password={} app|PGPASSWORD={} psql -h db app|redis-cli -a {} ping|sshpass -p {} ssh a@b.test|sshpass -p'{}' ssh a@b.test|\
        docker login -u bob -p {} reg.test|curl -u bob:{} https://a.test|curl --user 'bob:{}' https://a.test|curl -sSu bob:{} https://a.test|htpasswd -bc f bob {}|\
        smbclient -U bob%{} //nas/in|wget --user=bob --password={} https://a.test|mongosh --username bob --password {}|mongosh -u bob -p {} app|ldapsearch -D cn=bob -w {}|\
        zip -P {} out.zip in|7z x -p{} in.7z|echo {} / sudo -S ls|echo \"bob:{}\" / chpasswd|sqlcmd -S db -U sa -P {}|\
        postgres://app:{}@db:5432/app|mongodb+srv://app:{}@c.test/app|redis://:{}@cache:6379/0|https://bob:{}@git.test/in.git|\
        Server=db;Database=app;User Id=sa;Password={};Encrypt=true|Data Source=db;uid=sa;pwd={}|host=db user=app password={} dbname=app|\
        machine a.test login bob password {}|db.test:5432:app:bob:{}|CREATE USER 'a' IDENTIFIED BY '{}'|ALTER USER app WITH PASSWORD '{}'|WIFI:T:WPA;S:home;P:{};;|\
        The password is {}|your new password: {}|login as bob with password {}|the password was changed to {} today|Password for bob: {}|\
        requests.get(url, auth=('bob', '{}'))|smtp.login('bob@a.test', '{}')|new NetworkCredential(\"bob\", \"{}\")|\
        network={ssid=\"home\" psk=\"{}\"}|db:\n  user: app\n  password: {}\n"
        .split('|')
    {
        let text = text.replace(" / ", " | ");
        for _ in 0..6 {
            let password = draw.password().replace(['#', '+'], "-");
            cases.push((text.replace("{}", &password), password));
        }
    }
    check(&cases, 0.95);
}

#[test]
fn codes_cards_phrases_links_and_cookies_are_found() {
    let (mut draw, mut cases) = (Draw(5), Vec::new());
    let words = "orbit canyon velvet hazard juice mimic pencil ritual season tackle umbrella wagon lunar magnet"
        .split(' ')
        .collect::<Vec<_>>();
    for _ in 0..8 {
        let mut add = |text: &str, secret: String| cases.push((text.replace("{}", &secret), secret));
        for text in [
            "Your verification code is {}.",
            "{} is your login code",
            "Use code {} to sign in",
            "OTP: {}",
            "Enter {} to verify your account",
            "security code: {} (expires soon)",
        ] {
            add(text, draw.chars("123456789", 6));
        }
        for text in ["card {} exp 12/29", "{\"number\":\"{}\"}", "charged to {}"] {
            add(text, draw.card());
        }
        let spaced = draw
            .card()
            .as_bytes()
            .chunks(4)
            .map(|four| String::from_utf8_lossy(four).into_owned())
            .collect::<Vec<_>>()
            .join(" ");
        if spaced.len() == 19 {
            add("card {}", spaced);
        }
        let phrase = (0..12).map(|n| words[(draw.below(3) + n) % words.len()]).collect::<Vec<_>>().join(" ");
        add("seed phrase: {}", phrase.clone());
        add("wallet backup\n{}\n", phrase.clone());
        add("{}", phrase);
        for text in [
            "https://a.test/invite/{}",
            "https://a.test/reset-password/{}",
            "https://a.test/magic?code={}",
            "https://a.test/verify/{}",
            "https://a.test/reset?token={}",
        ] {
            add(text, format!("{}7x{}", draw.chars("abcdefghXYZ", 8), draw.chars("0123456789abc", 6)));
        }
        for text in [
            "Set-Cookie: sid={}; Path=/",
            "Cookie: theme=dark; session={}; lang=en",
            "curl -b 'sid={}' https://a.test",
            "Authorization: Basic {}",
        ] {
            add(text, draw.hex(24));
        }
    }
    check(&cases, 0.97);
}

#[test]
fn what_only_looks_like_a_secret_is_left_alone() {
    let mut draw = Draw(6);
    let redactor = Redactor::new(None);
    let (mut touched, mut all) = (Vec::new(), 0);
    for _ in 0..20 {
        let (sha, digest, uuid, short, blob) = (draw.hex(40), draw.hex(64), draw.uuid(), draw.hex(8), draw.base64(120));
        let number = draw.chars("123456789", 16);
        for text in [
            format!("commit {sha}\nAuthor: Bob <b@a.test>\n\n    rotate token keys\n"),
            format!("{digest}  app.tar.gz\n"),
            format!("Digest: sha256:{digest}\nStatus: up to date"),
            format!("image: reg.test/app@sha256:{digest}"),
            format!("{{\"id\":\"{uuid}\",\"etag\":\"{}\",\"revision\":\"{sha}\"}}", &digest[..32]),
            format!("session_id={uuid} request_id={uuid} trace={}", &digest[..32]),
            format!("index {short}..{} 100644\n-token = a.token\n+token = get_token(a)\n", &sha[..8]),
            format!("name = \"jwtlib\"\nversion = \"2.{short}\"\nhash = \"sha256:{digest}\"\n"),
            format!("\"integrity\": \"sha512-{}==\", \"keyring\": \"^7.9.0\"", &blob[..86]),
            format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} bob@host", &blob[..43]),
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", &blob[..64]),
            format!("data:image/png;base64,iVBORw0KGgo{blob}"),
            format!("https://cdn.test/app.{short}.js?v={short}&page=2"),
            format!("https://docs.test/d/{}/edit", blob[..40].replace(['+', '/'], "_")),
            format!("cache key: build-{digest}\nprimary_key: id\n"),
            format!("COMMIT={sha} make\nSHA=\"{sha}\" ./check.sh"),
            format!("order #W{} tracking 1Z{} total 129.95", &number[..7], &number[..12]),
            format!("API_KEY=your-api-key\nPASSWORD=changeme\nTOKEN=${{TOKEN}}\nX_SECRET=xxxxxxxx{}", ""),
            "env:\n  TOKEN: ${{ secrets.TOKEN }}\n  KEY: $API_KEY\n  P: \"{{ vault_password }}\"\n".to_owned(),
            "def login(user: str, password: str) -> Token:\n    token = make_token(user, secret=SETTINGS.SECRET)\n"
                .to_owned(),
            "The password must have 12 characters; the token expires in 30 minutes.".to_owned(),
            "SELECT id, token FROM users WHERE token = ? AND password = $1".to_owned(),
            "usage: tool [--token TOKEN] [--password PASSWORD] [-p PORT]".to_owned(),
            "InvalidTokenError: Signature verification failed at auth.py:88".to_owned(),
            "your zip code is 94107, status code is 404, exit code 137".to_owned(),
            "docker run -p 8080:80 -u 1000:1000 nginx; mkdir -p /srv/app1; ssh -p 2222 bob@a.test".to_owned(),
            "{\"max_tokens\":4096,\"usage\":{\"input_tokens\":5123},\"next_page_token\":\"CAoQAA\"}".to_owned(),
            "password: ********\ntoken: sk-...a1b2\nsecret: [hidden]\nkey: <redacted>\n".to_owned(),
            "+ password = (sensitive value)\n+ kms_key_id = (known after apply)\n".to_owned(),
            "| key | value |\n|---|---|\n| theme | dark |\n".to_owned(),
        ] {
            all += 1;
            crate::redact::tests::prefilter_equivalence::check(&text);
            let args = format!("{{\"text\":{}}}", quoted(&text));
            if readable(&redactor, &args, &text) != format!("{text}\ntext\n{text}") {
                touched.push(readable(&redactor, "{}", &text));
            }
        }
    }
    assert!(touched.len() * 200 <= all, "{} of {all}: {:#?}", touched.len(), &touched[..touched.len().min(12)]);
}

#[test]
fn only_forms_of_64_random_bits_are_tagged() {
    for shape in PREFIXED.iter().chain(VENDORS) {
        let bits: f64 = shape
            .pieces()
            .iter()
            .map(|piece| match piece {
                // The vendor may treat upper and lower case as the same letter.
                Piece::Run(bytes, least, _) => {
                    let mut folded: Vec<u8> = bytes.iter().map(u8::to_ascii_lowercase).collect();
                    folded.dedup();
                    folded.sort_unstable();
                    folded.dedup();
                    (folded.len() as f64).log2() * *least as f64
                }
                Piece::Literal(_) | Piece::Choice(_) => 0.0,
            })
            .sum();
        assert!(!shape.tagged || bits >= 64.0, "{} has {bits:.0} bits", shape.rule);
        // A token that contains a guessable password, or only names its owner, must not be tagged.
        let guessable = matches!(shape.rule, "password-hash" | "jwt" | "slack-bot-token" | "slack-webhook-url");
        assert!(!(shape.tagged && guessable), "{} is tagged", shape.rule);
    }
    let tagged = VENDORS.iter().filter(|shape| shape.tagged).count();
    assert_eq!(tagged, 0, "a form known only by its neighbour may be something else");
}
