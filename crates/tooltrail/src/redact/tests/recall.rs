//! Measures how many secrets are found for each kind of context. Each kind is tested in many variants, from tables of
//! texts and of ways to write them. `cargo test recall -- --nocapture` prints the shares.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::redact::Redactor;
use crate::redact::rules::shapes::PREFIXED;
use crate::redact::tests::generators::{Draw, quoted, readable, surroundings};

/// A test case: args and result that contain a text, and the secret in it, which must not be readable after redaction.
struct Case {
    args: String,
    result: String,
    secret: String,
}

impl Case {
    /// Builds a case with a text as an argument and as a result.
    fn text(text: &str, secret: &str) -> Self {
        Self { args: format!("{{\"text\":{}}}", quoted(text)), result: text.to_owned(), secret: secret.to_owned() }
    }

    fn args(args: String, secret: &str) -> Self {
        Self { args, result: "done".to_owned(), secret: secret.to_owned() }
    }
}

/// Prints the share of the cases of a kind that is hidden, and checks that it is at least `floor`.
#[allow(clippy::print_stdout, reason = "a test says what it measured")]
fn check(kind: &str, floor: f64, cases: &[Case]) {
    let redactor = Redactor::new(None);
    let mut missed = Vec::new();
    for case in cases {
        let stored = readable(&redactor, &case.args, &case.result);
        if stored.contains(&case.secret) {
            missed.push(format!("{} in {} / {}", case.secret, case.args, case.result));
        }
    }
    let found = 1.0 - missed.len() as f64 / cases.len() as f64;
    println!("{kind}: {:.1} % of {} hidden", found * 100.0, cases.len());
    assert!(found >= floor, "{kind}: {found:.3} of {}: {:#?}", cases.len(), &missed[..missed.len().min(10)]);
}

/// Returns texts with a named password or a token, each with its secret.
fn texts(seed: u64) -> Vec<(String, String)> {
    let (mut draw, mut texts) = (Draw(seed), Vec::new());
    for name in ["password", "db_password", "api_key", "client_secret", "access_token", "passphrase"] {
        let secret = draw.chars("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789", 24);
        texts.extend(surroundings(name, &secret).into_iter().map(|text| (text, secret.clone())));
    }
    for shape in PREFIXED.iter().step_by(7) {
        let token = draw.token(shape);
        if token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
            texts.push((format!("using {token} now"), token.clone()));
            texts.push((token.clone(), token));
        }
    }
    texts
}

fn escaped(text: &str, which: fn(char) -> bool, write: fn(char) -> String) -> String {
    text.chars().map(|char| if which(char) { write(char) } else { char.to_string() }).collect()
}

fn is_sign(char: char) -> bool {
    char.is_ascii_punctuation() && !matches!(char, '_' | '-' | '.') || char == '\n'
}

#[test]
fn kinds_of_escapes() {
    type Way = (&'static str, fn(&str) -> String);
    let ways: [Way; 9] = [
        ("signs as \\u0022", |text| escaped(text, is_sign, |char| format!("\\u{:04x}", u32::from(char)))),
        ("signs as \\u0022 in JSON", |text| {
            format!("{{\"body\":\"{}\"}}", escaped(text, is_sign, |char| format!("\\u{:04X}", u32::from(char))))
        }),
        ("signs as \\x22", |text| escaped(text, is_sign, |char| format!("\\x{:02x}", u32::from(char)))),
        ("letters escaped", |text| {
            escaped(text, |c| matches!(c, 'a' | 'o'), |char| format!("\\u{:04x}", u32::from(char)))
        }),
        ("slashes and quotes escaped", |text| text.replace('\\', "\\\\").replace('/', "\\/").replace('"', "\\\"")),
        ("HTML", |text| {
            text.replace('&', "&amp;")
                .replace('"', "&quot;")
                .replace('\'', "&#39;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        }),
        ("HTML in numbers", |text| escaped(text, is_sign, |char| format!("&#x{:x};", u32::from(char)))),
        ("percent", |text| escaped(text, |c| is_sign(c) || c == ' ', |char| format!("%{:02X}", u32::from(char)))),
        ("percent twice", |text| {
            escaped(text, |c| is_sign(c) || c == ' ', |char| format!("%25{:02X}", u32::from(char)))
        }),
    ];
    for (kind, write) in ways {
        let cases: Vec<Case> = texts(11)
            .into_iter()
            // A text that already contains escapes would change its meaning when it is escaped again.
            .filter(|(text, _)| !text.contains(['\\', '%', '&']))
            .map(|(text, secret)| {
                let secret = if kind == "letters escaped" { write(&secret) } else { secret };
                Case::text(&write(&text), &secret)
            })
            .collect();
        check(kind, 0.95, &cases);
    }
}

#[test]
fn kinds_of_colours() {
    for (open, close) in [
        ("\x1b[33m", "\x1b[0m"),
        ("\x1b[1;38;5;9m", "\x1b[m"),
        ("\\u001b[31m", "\\u001b[0m"),
        ("\\x1b[1m\\x1b[32m", "\\x1b[0m"),
        ("\\033[0;32m", "\\033[0m"),
    ] {
        let mut cases = Vec::new();
        for (text, secret) in texts(12) {
            let coloured = format!("{open}{secret}{close}");
            cases.push(Case::text(&text.replace(&secret, &coloured), &secret));
            cases.push(Case::text(&format!("{open}{text}{close}"), &secret));
            cases.push(Case::text(&text.replace('=', &format!("{close}={open}")), &secret));
            let lines: Vec<String> = text.lines().map(|line| format!("{open}+{line}{close}")).collect();
            cases.push(Case::text(&lines.join("\n"), &secret));
        }
        check(&format!("colours {open:?}"), 0.95, &cases);
    }
}

#[test]
fn kinds_of_base64() {
    let mut draw = Draw(13);
    let (mut tokens, mut named) = (Vec::new(), Vec::new());
    for shape in PREFIXED.iter().step_by(3) {
        let token = draw.token(shape);
        tokens.push((token.clone(), token));
    }
    for name in ["password", "DB_PASSWORD", "api_key", "client_secret", "TOKEN"] {
        let secret = draw.password();
        for text in [
            format!("{name}={secret}"),
            format!("{name}: {secret}\nuser: bob\n"),
            format!("{{\"{name}\":\"{secret}\"}}"),
        ] {
            named.push((text, secret.clone()));
        }
    }
    let pem: Vec<_> = ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]
        .into_iter()
        .map(|kind| {
            let lines: Vec<String> = (0..6).map(|_| draw.base64(64)).collect();
            let key =
                format!("-----BEGIN {kind}PRIVATE KEY-----\n{}\n-----END {kind}PRIVATE KEY-----\n", lines.join("\n"));
            (key.clone(), key)
        })
        .collect();
    for (kind, texts) in [("a token", tokens), ("a named secret", named), ("a private key", pem)] {
        let mut cases = Vec::new();
        for (text, _) in texts {
            let encoded = STANDARD.encode(&text);
            let safe = encoded.replace('+', "-").replace('/', "_");
            let needle = &encoded[encoded.len() / 3..encoded.len() * 2 / 3];
            for around in [
                "{}",
                "echo {} | base64 -d",
                "data:text/plain;base64,{}",
                "  value: {}\n",
                "x=\"{}\"",
                "[\"{}\"]",
                "key\\n{}",
            ] {
                cases.push(Case::text(&around.replace("{}", &encoded), needle));
            }
            cases.push(Case::args(
                format!("{{\"content\":{{\"encoding\":\"base64\",\"data\":\"{encoded}\"}}}}"),
                needle,
            ));
            let wrapped: Vec<&str> =
                encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
            cases.push(Case::text(&wrapped.join("\n"), &needle[..needle.len().min(16)]));
            cases.push(Case::text(&safe, &safe[safe.len() / 3..safe.len() * 2 / 3]));
        }
        check(&format!("base64 of {kind}"), 0.95, &cases);
    }
}

#[test]
fn kinds_of_keys_in_part() {
    let (mut draw, mut cases) = (Draw(14), Vec::new());
    for (kind, width) in [("", 64), ("RSA ", 64), ("EC ", 64), ("OPENSSH ", 70)] {
        for count in 3..9 {
            let lines: Vec<String> = (0..count).map(|_| draw.base64(width)).collect();
            let last = draw.base64(28) + "==";
            let end = format!("-----END {kind}PRIVATE KEY-----");
            let needle = lines[1].clone();
            for text in [
                format!("{}\n{last}\n{end}\n", lines.join("\n")),
                format!("$ tail -n {count} id\n{}\n{last}\n{end}", lines.join("\n")),
                lines.join("\n"),
                format!("{}\n{last}", lines.join("\r\n")),
                format!("{{\"out\":\"{}\\n{last}\\n{end}\"}}", lines.join("\\n")),
                lines.iter().map(|line| format!("    {line}\n")).collect(),
            ] {
                cases.push(Case::text(&text, &needle));
            }
            cases.push(Case::text(&format!("{last}\n{end}"), &last));
        }
        let data = STANDARD.encode(format!("-----BEGIN {kind}PRIVATE KEY-----\n{}\n", draw.base64(64)));
        cases.push(Case::text(&format!("    client-key-data: {data}\n"), &data[30..60]));
    }
    check("private keys in part", 0.95, &cases);
}

#[test]
fn kinds_of_webhooks() {
    let (mut draw, mut cases) = (Draw(15), Vec::new());
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for form in [
        "https://hooks.slack.com/services/T01AB2CD3EF/B04GH5IJ6KL/{24}",
        "https://hooks.slack.com/workflows/T01AB2CD3EF/A04GH5IJ6KL/123456789012345678/{24}",
        "https://hooks.slack.com/triggers/T01AB2CD3EF/1234567890123/{h32}",
        "https://discord.com/api/webhooks/123456789012345678/{68}",
        "https://discordapp.com/api/webhooks/123456789012345678/{68}/slack",
        "https://ptb.discord.com/api/v10/webhooks/123456789012345678/{68}?wait=true",
        "https://outlook.office.com/webhook/{u}@{u}/IncomingWebhook/{h32}/{u}",
        "https://acme.webhook.office.com/webhookb2/{u}@{u}/IncomingWebhook/{32}/{u}/V2{43}",
        "https://prod-12.westeurope.logic.azure.com:443/workflows/{h32}/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig={43}",
        "https://chat.googleapis.com/v1/spaces/AAAAbCdEfGh/messages?key=AIza{35}&token={43}",
        "https://chat.acme.test/hooks/{l26}",
        "https://rocket.acme.test/hooks/{24}/{48}",
        "https://zulip.acme.test/api/v1/external/slack?api_key={32}&stream=ops",
        "https://api.telegram.org/bot123456789:AA{33}/sendMessage",
        "https://open.feishu.cn/open-apis/bot/v2/hook/{u}",
        "https://open.larksuite.com/open-apis/bot/v2/hook/{u}",
        "https://oapi.dingtalk.com/robot/send?access_token={h64}",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={u}",
        "https://webexapis.com/v1/webhooks/incoming/{80}",
        "https://integrations.zoom.us/chat/webhooks/incomingwebhook/{32}",
        "https://api.flock.com/hooks/sendMessage/{u}",
        "https://cliq.zoho.com/api/v2/channelsbyname/ops/message?zapikey=1001.{h32}.{h32}",
        "https://media.guilded.gg/webhooks/{u}/{86}",
        "https://twist.com/api/v3/integration_incoming/post_data?install_id=12&install_token=12_{h32}",
        "https://hooks.zapier.com/hooks/catch/1234567/{l10}a1/",
        "https://hook.eu1.make.com/{l32}",
        "https://n8n.acme.test/webhook/{u}",
        "https://maker.ifttt.com/trigger/alarm/with/key/{32}",
        "https://events.pagerduty.com/integration/{h32}/enqueue",
        "https://hc-ping.com/{u}",
        "https://api.netlify.com/build_hooks/{h24}",
        "https://home.acme.test/api/webhook/{40}",
    ] {
        for _ in 0..3 {
            let (mut url, mut last) = (String::new(), String::new());
            let mut rest = form;
            while let Some((before, after)) = rest.split_once('{') {
                let (class, tail) = after.split_once('}').unwrap();
                last = match class {
                    "u" => draw.uuid(),
                    _ if class.starts_with('h') => draw.hex(class[1..].parse().unwrap()),
                    _ if class.starts_with('l') => {
                        draw.chars("abcdefghijklmnopqrstuvwxyz0123456789", class[1..].parse::<usize>().unwrap() - 2)
                            + "7q"
                    }
                    _ => draw.chars(letters, class.parse().unwrap()),
                };
                url = url + before + &last;
                rest = tail;
            }
            url.push_str(rest);
            cases.push(Case::args(format!("{{\"url\":{}}}", quoted(&url)), &last));
            cases.push(Case::text(&format!("curl -X POST -d @m.json '{url}'"), &last));
            cases.push(Case::text(&url.replace('/', "\\/"), &last));
        }
    }
    check("webhooks of chat systems", 0.95, &cases);
}

#[test]
fn kinds_of_browsers() {
    let (mut draw, mut cases) = (Draw(16), Vec::new());
    for label in [
        "Password input",
        "Password",
        "#password",
        "input[name=\"password\"]",
        "Passwort",
        "Confirm password field",
        "[type=password]",
    ] {
        let secret = draw.password();
        let label = quoted(label);
        let value = quoted(&secret);
        for args in [
            format!("{{\"element\":{label},\"ref\":\"e12\",\"text\":{value}}}"),
            format!("{{\"element\":{label},\"target\":\"e12\",\"text\":{value},\"submit\":true}}"),
            format!("{{\"selector\":{label},\"value\":{value}}}"),
            format!("{{\"value\":{value},\"selector\":{label}}}"),
            format!("{{\"fields\":[{{\"name\":{label},\"type\":\"textbox\",\"ref\":\"e3\",\"value\":{value}}}]}}"),
            format!("{{\"by\":\"id\",\"value\":{label},\"text\":{value}}}"),
            format!(
                "{{\"description\":{label},\"selector\":\"xpath=/html\",\"method\":\"fill\",\"arguments\":[{value}]}}"
            ),
            format!("{{\"label\":{label},\"text\":{value}}}"),
            format!("{{\"actions\":[{{\"type\":\"fill\",\"locator\":{label},\"text\":{value}}}]}}"),
        ] {
            cases.push(Case::args(args, &secret));
        }
    }
    for code in "await page.fill('#password', '{}');|await page.type('input[name=pass]', '{}', { delay: 50 });|\
        await page.getByLabel('Password').fill('{}');|await page.getByRole('textbox', { name: 'Password' }).fill('{}');|\
        page.get_by_label(\"Password\").fill(\"{}\")|page.locator('#password').pressSequentially('{}');|\
        driver.find_element(By.ID, \"password\").send_keys(\"{}\")|driver.findElement(By.name(\"pass\")).sendKeys(\"{}\");|\
        cy.get('[name=password]').type('{}{enter}', { log: false })|await t.typeText('#password', '{}');|$('#password').val('{}')|\
        document.querySelector('#password').value = '{}';|fill_in 'Password', with: '{}'|\
        - textbox \"Password\" [ref=e12]: {}|<input type=\"password\" name=\"pw\" value=\"{}\">"
        .split('|')
    {
        for _ in 0..4 {
            let secret = draw.password();
            cases.push(Case::text(&format!("// step\n{}\n", code.replace("{}", &secret)), &secret));
            cases.push(Case::args(format!("{{\"code\":{}}}", quoted(&code.replace("{}", &secret))), &secret));
        }
    }
    check("browsers", 0.95, &cases);
}

#[test]
fn kinds_of_commands() {
    let (mut draw, mut cases) = (Draw(17), Vec::new());
    for command in "gh secret set API -b {}|gh secret set API --body \"{}\"|gh secret set API --body={} --repo a/b|glab variable set NAME {}|\
        kubectl create secret generic app --from-literal=key={}|kubectl create secret generic app --from-literal key={}|\
        vault login {}|az login --service-principal -u app -p {} --tenant t|az keyvault secret set --vault-name v --name n --value {}|\
        ngrok config add-authtoken {}|wandb login {}|hf auth login --token {}|openssl rsa -in k.pem -passin pass:{} -out o.pem|\
        security add-generic-password -a bob -s app -w {}|keytool -list -keystore k.jks -storepass {}|echo {} / sudo -S apt update|\
        echo {} / gh auth login --with-token|echo {} / gh secret set API"
        .split('|')
    {
        for _ in 0..4 {
            let secret = draw.password().replace(['#', '+', '!'], "-");
            let command = command.replace(" / ", " | ").replace("{}", &secret);
            cases.push(Case::text(&command, &secret));
            cases.push(Case::args(format!("{{\"command\":{}}}", quoted(&command)), &secret));
        }
    }
    for command in
        ["sudo -S apt update", "docker login --password-stdin reg.test", "gh secret set API", "chpasswd", "passwd bob"]
    {
        let secret = draw.password();
        cases.push(Case::args(format!("{{\"command\":{},\"stdin\":\"{secret}\\n\"}}", quoted(command)), &secret));
        cases.push(Case::args(format!("{{\"stdin\":\"{secret}\",\"cmd\":{}}}", quoted(command)), &secret));
    }
    check("commands", 0.95, &cases);
}

#[test]
fn kinds_of_languages() {
    let (mut draw, mut cases) = (Draw(18), Vec::new());
    for name in "Passwort Kennwort mot_de_passe motDePasse contraseña contrasena senha wachtwoord lösenord losenord adgangskode passord \
        salasana parool slaptažodis hasło haslo heslo jelszó jelszo parolă lozinka geslo şifre sifre пароль Пароль парола \
        κωδικός 密码 密碼 口令 パスワード 비밀번호 รหัสผ่าน mật_khẩu mat_khau kata_sandi סיסמה पासवर्ड كلمة_المرور"
        .split_whitespace()
    {
        let secret = draw.password();
        for text in [
            format!("{name}: {secret}"),
            format!("{name} = {secret}"),
            format!("{name}=\"{secret}\""),
            format!("user: bob\n{name}: {secret}\nhost: a.test\n"),
            format!("{{\"{name}\": \"{secret}\"}}"),
            quoted(&format!("{{\"{name}\":\"{secret}\"}}")),
        ] {
            cases.push(Case::text(&text, &secret));
        }
        cases.push(Case::args(format!("{{\"{name}\":{}}}", quoted(&secret)), &secret));
        let ascii: String = name
            .chars()
            .map(|char| if char.is_ascii() { char.to_string() } else { format!("\\u{:04x}", u32::from(char)) })
            .collect();
        cases.push(Case::text(&format!("{{\"{ascii}\": \"{secret}\"}}"), &secret));
    }
    for sentence in "密码是{}|密码：{}|密码为 {}。|パスワードは{}です|パスワードは「{}」です|비밀번호는 {} 입니다|пароль — {}|Пароль администратора: {}|\
        ваш пароль: {}|Ваш новый пароль {}|Das Passwort lautet {}|le mot de passe est {}|la contraseña es {}|a senha é {}|het wachtwoord is {}|\
        lösenordet är {}|salasana on {}|hasło to {}|heslo je {}|mật khẩu là {}|şifreniz: {}|the password for the admin is {}|\
        use {} as the password|Use \"{}\" as your password.|{} is the password"
        .split('|')
    {
        for _ in 0..3 {
            let secret = draw.password();
            cases.push(Case::text(&sentence.replace("{}", &secret), &secret));
        }
    }
    check("languages", 0.95, &cases);
}

#[test]
fn what_only_looks_like_these_kinds_is_left_alone() {
    let redactor = Redactor::new(None);
    let mut draw = Draw(19);
    let mut touched = Vec::new();
    let mut all = 0;
    for _ in 0..10 {
        let (digest, uuid, blob) = (draw.hex(64), draw.uuid(), draw.base64(240));
        let lines: Vec<&str> = blob.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for text in [
            "this.vocab=new; self.token=next_token_from_stream".to_owned(),
            "if (token == storedToken) { return token !== other.token }".to_owned(),
            "if apiKey != config.apiKey: raise AuthError(api_key)".to_owned(),
            "password=x token=y {\"api_key\": \"k\"}".to_owned(),
            "secret == expected_secret and password != confirm_password".to_owned(),
            format!("cache key: node-modules-Linux-{digest}\ncache_key=user:42:profile:v2"),
            format!("key: Linux-cargo-{digest}"),
            "\x1b[32m+    token = make_token(user)\x1b[m\n\x1b[31m-    password: str\x1b[m".to_owned(),
            "{\"text\":\"the password \\u0026 the token are in the vault\"}".to_owned(),
            "https://a.test/search?q=password%20reset&next=%2Fhome%2Fa".to_owned(),
            "&lt;input type=&quot;password&quot; name=&quot;password&quot;&gt;".to_owned(),
            base64::engine::general_purpose::STANDARD
                .encode("an ordinary text with nothing in it but words, and some more"),
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")),
            format!("{}\n-----END CERTIFICATE-----\n", lines.join("\n")),
            format!("{digest}  a.tar\n{digest}  b.tar\n{digest}\n{digest}\n"),
            format!("https://api.github.com/repos/a/b/hooks/12345678 {uuid}"),
            format!("data:image/png;base64,iVBORw0KGgo{blob}"),
            "await page.getByLabel('Search').fill('password manager');".to_owned(),
            "page.fill('#email', 'bob@acme.test'); page.click('#password-help')".to_owned(),
            "passwordError.value = 'Required'; passwordField.value = ''".to_owned(),
            "- textbox \"Search\" [ref=e12]: hunter2\n- button \"Show password\"".to_owned(),
            "забыли пароль? введите пароль и нажмите кнопку".to_owned(),
            "忘记密码，请联系管理员。密码错误".to_owned(),
            "パスワードをお忘れの方はこちら https://a.test/help".to_owned(),
            "la contraseña es obligatoria; escribe tu contraseña".to_owned(),
            "gh pr create -b \"fixes the login\" && gh variable set ZONE -b eu1".to_owned(),
            "wandb login\nwandb: Currently logged in as: bob42".to_owned(),
            "your discount code is SAVE20, your zip code is 94107".to_owned(),
        ] {
            all += 1;
            let args = format!("{{\"text\":{}}}", quoted(&text));
            if readable(&redactor, &args, &text) != format!("{text}\ntext\n{text}") {
                touched.push(readable(&redactor, "{}", &text));
            }
        }
    }
    for (args, expected) in [
        ("{\"element\":\"Search box\",\"text\":\"hunter22 password reset\"}", "hunter22 password reset"),
        ("{\"element\":\"Show password button\",\"text\":\"hello42world\"}", "hello42world"),
        ("{\"description\":\"Prints the password policy\",\"text\":\"twelve12 characters\"}", "twelve12 characters"),
        ("{\"name\":\"keyboard\",\"text\":\"layout-us-2024\"}", "layout-us-2024"),
        ("{\"command\":\"sudo ls\",\"stdin\":\"hello42world\"}", "hello42world"),
        ("{\"token\":\"x\",\"text\":\"a\"}", "x"),
    ] {
        all += 1;
        let stored = readable(&redactor, args, "ok");
        if !stored.contains(expected) {
            touched.push(stored);
        }
    }
    touched.sort();
    touched.dedup();
    assert!(touched.is_empty(), "{} of {all}: {touched:#?}", touched.len());
}
