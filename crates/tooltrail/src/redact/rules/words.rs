//! Word lists that help to decide what a name or a value means. Each list is one text, split at white space.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

/// A set of words that is built at its first use.
pub(in crate::redact) type Words = LazyLock<Set>;

type Set = HashSet<&'static str, BuildHasherDefault<Quick>>;

fn set(text: &'static str) -> Set {
    text.split_whitespace().collect()
}

/// A fast hash. It need not resist chosen collisions, because the lists are fixed and no input is added to them.
#[derive(Default)]
pub(in crate::redact) struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        let rest = rest.iter().fold(bytes.len() as u64, |all, byte| all << 8 | u64::from(*byte));
        for value in eights.iter().map(|eight| u64::from_le_bytes(*eight)).chain([rest]) {
            self.0 = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    fn finish(&self) -> u64 {
        // The hash table takes the slot from the lowest bits and the tag from the highest bits.
        self.0 ^ self.0 >> 32
    }
}

/// Last words of names that say something about a secret but do not hold it: `token_count`, `key_id`.
pub(in crate::redact) static ABOUT: Words = LazyLock::new(|| {
    set("id ids name names type types count counts budget limit limits max min ttl seconds minutes expiry expires \
         expiration expired length len size url uri endpoint path file files filename dir format policy hint status \
         state enabled disabled required strength version created updated at in field label prefix suffix regex pattern \
         usage cost price rotation algorithm algo alg age page description placeholder error errors valid index env var \
         ref kind used left remaining reset provider manager class prompt exists set changed fingerprint store ring board \
         word words frame bits map method mode scope scopes domain samesite timeout present code arn santa help title \
         text message link button validator rules arg args parser consent banner policies")
});

/// First words of names that are switches or messages: `has_password`, `forgot_password`.
pub(in crate::redact) static ASKS: Words = LazyLock::new(|| {
    set(
        "has have is are forgot forgotten show hide enter invalid missing wrong incorrect requires require needs need enable \
         disable toggle remember save ask no without allow check verify validate",
    )
});

/// Words before `key` that make it the name of a key that is not secret.
pub(in crate::redact) static OPEN_KEYS: Words = LazyLock::new(|| {
    set(
        "public pub primary foreign sort cache partition lookup hash dict object map group unique shift ctrl enter hot row \
         routing index search json config storage bucket query registry translation i18n idempotency range item sorting \
         column data issue project arrow escape tab no any each new old locale message candidate composite natural surrogate \
         candidate parent child feature flag metadata attribute property from gpg pgp by artifact pip node order react",
    )
});

/// Words before `token` that make it the name of a position or a piece of text.
pub(in crate::redact) static OPEN_TOKENS: Words = LazyLock::new(|| {
    set(
        "next page cancellation cancel continuation sync per eos bos pad unk mask special unexpected prev previous stop \
         start end sep cls",
    )
});

/// Words in the names of passwords.
pub(in crate::redact) static PASSWORDS: Words = LazyLock::new(|| {
    set("password passwd passphrase passcode pwd pw passwords pass pgpassword sshpass userpassword rootpassword \
         dbpassword cleartextpassword passwort kennwort senha contrasena motdepasse psk storepass keypass requirepass \
         masterauth pswd wachtwoord haslo heslo jelszo parola sifre losenord salasana adgangskode passord \
         lozinka geslo parool slaptazodis katasandi contrasenya contrasenia pasvorto wagwoord nenosiri")
});

/// Words for "password" that are not ASCII, in lower case: Russian, Bulgarian, Ukrainian, Greek, Chinese,
/// Japanese, Korean, Arabic, Persian, Hebrew, Hindi, Thai, Vietnamese, Turkish, Polish, Hungarian, Romanian, Swedish,
/// Lithuanian, Spanish.
pub(in crate::redact) const WORLD: &[&str] = &[
    "пароль",
    "парола",
    "κωδικός",
    "κωδικος",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "暗証番号",
    "비밀번호",
    "암호",
    "كلمة المرور",
    "كلمة_المرور",
    "كلمة السر",
    "رمز عبور",
    "گذرواژه",
    "סיסמה",
    "סיסמא",
    "पासवर्ड",
    "รหัสผ่าน",
    "mật khẩu",
    "mật_khẩu",
    "şifre",
    "hasło",
    "jelszó",
    "parolă",
    "lösenord",
    "slaptažodis",
    "contraseña",
    "лозинка",
    "пасворд",
    "құпиясөз",
    "პაროლი",
    "lykilorð",
    "hasłem",
];

/// Words before `code` that make it the name of a one-time code.
pub(in crate::redact) static CODES: Words = LazyLock::new(|| {
    set(
        "otp pin mfa totp verification security auth backup recovery factor login sms confirmation access passcode 2fa \
         authentication time door signin unlock cvv cvc",
    )
});

/// Words that are placeholders, or that are not a value of a secret.
pub(in crate::redact) static STANDINS: Words = LazyLock::new(|| {
    set(
        "changeme change-me change_me changeit password passwd secret token todo none null nil undefined true false string \
         str number boolean bool any example placeholder redacted hidden masked unset empty required optional bytes object \
         n/a dummy replace_me replaceme pass int on off yes no enabled disabled auto default always never bearer basic \
         digest negotiate api_key apikey api-key username user key passwort kennwort value credentials credential \
         insert_key_here insert_token_here include omit same-origin write read tbd tba unknown enabled required",
    )
});

/// Last words of placeholders such as `your-api-key`.
pub(in crate::redact) static STANDIN_ENDS: Words = LazyLock::new(|| {
    set(
        "key token secret password here id value credentials passphrase pass apikey pat code webhook url string pin name \
         username",
    )
});

/// Words that may occur between `password` and the password in a sentence.
pub(in crate::redact) static LINKS: Words = LazyLock::new(|| {
    set(
        "is was to has been changed set reset now updated will be for ist lautet est es são as new of user with é è är er \
         jest je este yra adalah ialah für pour para de da do di för til dla pro per voor",
    )
});

/// Words of ordinary sentences. None of them is in a word list for seed phrases.
pub(in crate::redact) static PROSE: Words = LazyLock::new(|| {
    set(
        "a an the and or to of in on at is are was were be been your my his her its for from with by as it we he she they \
         not must but has had please enter see required if which than then use used using be can cannot",
    )
});

/// Words before `code` that make it another kind of number.
pub(in crate::redact) static OTHER_CODES: Words = LazyLock::new(|| {
    set(
        "zip postal post area status exit error http country return color colour promo product dialing response airport \
         qr bar source discount coupon sort branch language currency error-code iata hs vat tax class course",
    )
});

/// Words in the names of digests, versions and identifiers.
pub(in crate::redact) static OPEN_VALUES: Words = LazyLock::new(|| {
    set(
        "sha sha1 sha256 sha512 md5 hash digest commit rev revision ref id ids uuid guid etag checksum version tag image \
         build run url path date time crc fingerprint pub head base tree parent trace span request host job layer",
    )
});
