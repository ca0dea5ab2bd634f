//! The tool `file_read`: it returns an agent's own day file page by page and what roles allow, but nothing outside the
//! roots.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use serde_json::{Value, json};
use tooltrail::Call;
use tooltrail_toolbox::{CallError, Context, FileRead, PATH_REFUSAL, READ_BYTES_MAX, Root, Toolbox};

use crate::dice::Dice;
use crate::support::TestToolbox;

/// The text in every file that `alice` may not read.
pub(crate) const CANARY: &str = "canary-of-others";

/// A home with two users and keys, a folder that all callers may read and that contains traps, and a folder outside the
/// roots.
pub(crate) struct Yard {
    pub(crate) fixture: TestToolbox,
    pub(crate) toolbox: Toolbox,
    pub(crate) base: PathBuf,
}

impl Yard {
    pub(crate) fn new() -> Self {
        let fixture = TestToolbox::new();
        let base = fixture.folder.path().canonicalize().unwrap();
        let home = base.join("home");
        let id = fixture.recorder.home().id().unwrap();
        for folder in ["docs/sub", "outside", "keys", "home/.tooltrail/journal", &format!("state/tooltrail/{id}")] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        let write = |path: &str, text: &str| fs::write(base.join(path), text).unwrap();
        write("docs/readme.txt", "for <everybody>");
        write("docs/sub/inner.txt", "inside");
        write("docs/binary", "");
        fs::write(base.join("docs/binary"), b"a\xff\0b\xf0\x9f").unwrap();
        for secret in ["outside/secret.txt", "keys/redact-1.key", "keys/redact-2.key", "home/.tooltrail/journal/0"] {
            write(secret, CANARY);
        }
        write(&format!("state/tooltrail/{id}/redact-1.key"), CANARY);

        for (user, result) in [("alice", "mine"), ("bob", CANARY), ("Carol", CANARY)] {
            fixture.recorder.record(&Call::new(user, "fs.read", "{}").ok(result));
        }
        fixture.recorder.flush().unwrap();
        traps(&base, &first_day(&home, "bob"));

        let tool = FileRead::new(fixture.recorder.home(), Some(&base.join("keys")))
            .allow(Root::folder(base.join("docs")))
            .allow(Root::folder(base.join("state")))
            .allow(Root::folder(&base).users(["root-of-all"]))
            .allow(Root::whole_home().roles(["admin", "auditor"]))
            .allow(Root::internals().roles(["auditor"]));
        let toolbox = Toolbox::builder(fixture.recorder.clone()).tool(tool.build().unwrap()).build().unwrap();
        Self { fixture, toolbox, base }
    }

    pub(crate) async fn read(&self, ctx: &Context, args: &Value) -> Result<Value, CallError> {
        let answer = self.toolbox.call(ctx, "file_read", &args.to_string()).await?;
        Ok(serde_json::from_str(&answer.to_text()).unwrap())
    }

    /// Checks the text of a file; `Err` has the complete message.
    async fn check(&self, ctx: &Context, path: &str, want: Result<&str, &str>) {
        let path = path.replace("{base}", self.base.to_str().unwrap());
        let answer = self.read(ctx, &json!({ "path": path })).await;
        let text = answer.map(|answer| answer["text"].as_str().unwrap().to_owned());
        match (text, want) {
            (Ok(text), Ok(want)) => assert!(text.contains(want), "{path} by {ctx:?}: {text}"),
            (Err(error), Err(want)) => assert_eq!(error.to_string(), want, "{path} by {ctx:?}"),
            (answer, _) => panic!("{path} by {ctx:?}: {answer:?}"),
        }
    }

    fn last_entry(&self) -> Value {
        let mut entries = self.fixture.entries();
        entries.retain(|entry| entry["tool"] == "file_read");
        entries.sort_by_key(|entry| entry["id"].as_str().unwrap().to_owned());
        entries.pop().unwrap()
    }
}

/// Puts links, hard links and special files into places that may be read.
fn traps(base: &Path, bobs: &Path) {
    let own = base.join("home/alice/tool_audit");
    symlink("../outside/secret.txt", base.join("docs/link.txt")).unwrap();
    symlink("../outside", base.join("docs/linked")).unwrap();
    symlink("/proc/self/environ", base.join("docs/environ")).unwrap();
    symlink("/dev/zero", base.join("docs/zero")).unwrap();
    symlink("loop", base.join("docs/loop")).unwrap();
    symlink("nowhere", base.join("docs/dangling")).unwrap();
    symlink(bobs, own.join("link.jsonl")).unwrap();
    symlink("../../bob", own.join("bob")).unwrap();
    fs::hard_link(base.join("outside/secret.txt"), base.join("docs/hard.txt")).unwrap();
    fs::hard_link(base.join("keys/redact-1.key"), own.join("hard.jsonl")).unwrap();
    mknodat(CWD, base.join("docs/fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    mknodat(CWD, own.join("fifo.jsonl"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    UnixListener::bind(base.join("docs/socket")).unwrap();
}

/// Returns the first day file of a user.
pub(crate) fn first_day(home: &Path, folder: &str) -> PathBuf {
    let files = fs::read_dir(home.join(folder).join("tool_audit")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.swap_remove(0)
}

/// Returns a caller with a role.
pub(crate) fn caller(user: &str, role: &str) -> Context {
    let mut ctx = Context::new(user);
    ctx.role = (!role.is_empty()).then(|| role.to_owned());
    ctx
}

#[tokio::test]
async fn an_own_file_is_read_page_by_page() {
    let yard = Yard::new();
    for n in 0..400 {
        let args = json!({"n": n, "text": "grüße 🦀 <b> \u{2028}".repeat(20)}).to_string();
        yard.fixture.recorder.record(&Call::new("alice", "fs.write", args).ok("done"));
    }
    yard.fixture.recorder.flush().unwrap();
    let file = first_day(&yard.base.join("home"), "alice");
    let name = file.file_name().unwrap().to_str().unwrap();
    for (path, limit) in [(name, None), (file.to_str().unwrap(), Some(4_099)), (name, Some(READ_BYTES_MAX))] {
        let (mut text, mut offset, mut size) = (String::new(), json!(0), 0);
        while !offset.is_null() && (size == 0 || text.len() < size) {
            let mut args = json!({"path": path, "offset": offset});
            if let Some(limit) = limit {
                args["limit"] = limit.into();
            }
            let page = yard.read(&caller("alice", ""), &args).await.unwrap();
            assert_eq!((&page["offset"], page.get("lossy")), (&offset, None));
            assert!(page["text"].as_str().unwrap().len() <= limit.unwrap_or(READ_BYTES_MAX));
            // Each read adds an entry to the file, so only the first size is compared.
            size = if size == 0 { page["size"].as_u64().unwrap() as usize } else { size };
            text.push_str(page["text"].as_str().unwrap());
            offset = page["next_offset"].clone();
        }
        assert!(size > 2 * READ_BYTES_MAX, "{size} bytes");
        yard.fixture.recorder.flush().unwrap();
        let whole = fs::read_to_string(&file).unwrap();
        assert!(text.len() >= size && whole.starts_with(&text), "{path} by {limit:?}");
    }
    let entry = yard.last_entry();
    assert_eq!((&entry["status"], &entry["result_snippet"]), (&json!("ok"), &json!("")), "{entry}");
    assert!(entry["result_chars"].as_u64().unwrap() > 10_000, "{entry}");
}

#[tokio::test]
async fn a_file_elsewhere_is_read_as_it_is() {
    let yard = Yard::new();
    let alice = caller("alice", "");
    yard.check(&alice, "{base}/docs/readme.txt", Ok("for <everybody>")).await;
    let entry = yard.last_entry();
    assert!(entry["result_snippet"].as_str().unwrap().contains("for <everybody>"), "{entry}");
    yard.check(&alice, "{base}/docs/sub/inner.txt", Ok("inside")).await;
    yard.check(&alice, "{base}/docs/absent.txt", Err("no such file")).await;
    yard.check(&alice, "1999-12-31.jsonl", Err("no such file")).await;
    // For a caller without an own trail, a path is relative to the first folder.
    yard.check(&caller("", ""), "readme.txt", Ok("everybody")).await;

    let path = yard.base.join("docs/binary");
    let answer = yard.read(&alice, &json!({ "path": path })).await.unwrap();
    let want = json!({"size": 6, "offset": 0, "next_offset": null, "text": "a\u{fffd}\0b\u{fffd}", "lossy": true});
    assert_eq!(answer, want);
    let answer = yard.read(&alice, &json!({"path": path, "offset": 6.0})).await.unwrap();
    assert_eq!(answer, json!({"size": 6, "offset": 6, "next_offset": null, "text": ""}));
    for bad in [json!({}), json!({"path": 7}), json!({"path": path, "limit": READ_BYTES_MAX + 1})] {
        assert!(matches!(yard.read(&alice, &bad).await, Err(CallError::Invalid { .. })), "{bad}");
    }
}

#[tokio::test]
async fn roles_open_what_they_name() {
    let yard = Yard::new();
    let bobs = first_day(&yard.base.join("home"), "bob");
    let bobs = bobs.to_str().unwrap();
    let carols = bobs.replace("/bob/", "/%43arol/");
    let journal = "{base}/home/.tooltrail/journal/0";
    let refused = Err(PATH_REFUSAL);
    let table = [
        ("alice", "", bobs, refused),
        ("alice", "", &carols, refused),
        ("alice", "member", bobs, refused),
        ("bob", "", bobs, Ok(CANARY)),
        ("Carol", "", &carols, Ok(CANARY)),
        ("carol", "", &carols, refused),
        ("%43arol", "", &carols, refused),
        ("", "", &bobs.replace("/bob/", "/unknown/"), refused),
        ("root-of-all", "", bobs, refused),
        ("root-of-all", "", "{base}/outside/secret.txt", refused),
        ("root-of-all", "", "{base}/keys/redact-1.key", refused),
        ("root-of-all", "", "{base}/keys/redact-2.key", refused),
        ("root-of-all", "", "{base}/keys/absent.key", refused),
        ("root-of-all", "", "{base}/docs/readme.txt", Ok("everybody")),
        ("alice", "admin", bobs, Ok(CANARY)),
        ("alice", "admin", &carols, Ok(CANARY)),
        ("alice", "administrator", bobs, refused),
        ("alice", "admin", journal, refused),
        ("alice", "auditor", journal, Ok(CANARY)),
        ("alice", "auditor", "{base}/home/.TOOLTRAIL/journal/0", refused),
        ("alice", "auditor", "{base}/keys/redact-1.key", refused),
    ];
    // The outside folder is below the root of everything, but its secret file has a second hard link.
    for (user, role, path, want) in table {
        yard.check(&caller(user, role), path, want).await;
    }
    fs::remove_file(yard.base.join("docs/hard.txt")).unwrap();
    yard.check(&caller("root-of-all", ""), "{base}/outside/secret.txt", Ok(CANARY)).await;
    let copied = yard
        .fixture
        .entries()
        .iter()
        .filter(|entry| entry["tool"] == "file_read")
        .any(|entry| entry["user"] != "root-of-all" && entry.to_string().contains(CANARY));
    assert!(!copied, "what an admin reads of others is not copied into the admin's trail");
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_once() {
    let yard = Yard::new();
    for name in ["docs/fifo", "docs/socket", "docs/sub", "docs/zero", "home/alice/tool_audit/fifo.jsonl"] {
        let began = Instant::now();
        yard.check(&caller("alice", ""), &format!("{{base}}/{name}"), Err(PATH_REFUSAL)).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{name} took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_swap_while_reading_never_leaks() {
    const SWAPS: usize = 40_000;
    let yard = Yard::new();
    let docs = yard.base.join("docs");
    fs::create_dir(docs.join("door")).unwrap();
    for file in ["door/page.txt", "file.txt", "name.txt"] {
        fs::write(docs.join(file), "inside").unwrap();
    }
    fs::write(yard.base.join("outside/page.txt"), CANARY).unwrap();
    symlink("../outside", docs.join("other-door")).unwrap();
    symlink("../outside/page.txt", docs.join("other-file.txt")).unwrap();
    fs::hard_link(yard.base.join("outside/page.txt"), docs.join("other-name.txt")).unwrap();

    let swapper = std::thread::spawn(move || {
        let mut random = Dice(69);
        for _ in 0..SWAPS {
            let name = ["door", "file.txt", "name.txt"][random.below(3) as usize];
            let other = docs.join(format!("other-{name}"));
            renameat_with(CWD, docs.join(name), CWD, other, RenameFlags::EXCHANGE).unwrap();
        }
    });
    let mut random = Dice(70);
    let (mut inside, mut refused) = (0, 0);
    while !swapper.is_finished() || inside * refused == 0 {
        let name = ["door/page.txt", "file.txt", "name.txt"][random.below(3) as usize];
        match yard.read(&caller("alice", ""), &json!({"path": yard.base.join("docs").join(name)})).await {
            Ok(answer) => {
                assert_eq!(answer["text"], "inside", "{name}");
                inside += 1;
            }
            Err(error) => {
                assert_eq!(error.to_string(), PATH_REFUSAL, "{name}");
                refused += 1;
            }
        }
        assert!(inside + refused < 10 * SWAPS, "the files stay as they are: {inside} read, {refused} refused");
    }
    swapper.join().unwrap();
    assert!(!yard.fixture.entries().iter().any(|e| e["tool"] == "file_read" && e.to_string().contains(CANARY)));
}

#[test]
fn roots_that_open_too_much_are_not_built() {
    let fixture = TestToolbox::new();
    let base = fixture.folder.path();
    let home = fixture.recorder.home();
    for folder in ["keys/deep", "home/shared"] {
        fs::create_dir_all(base.join(folder)).unwrap();
    }
    symlink("home", base.join("way-in")).unwrap();
    let check = |root: Root, want: &str| {
        let built = FileRead::new(home, Some(&base.join("keys"))).allow(root.clone()).build();
        let error = built.map(drop).map_err(|error| error.to_string());
        match error {
            Ok(()) => assert_eq!(want, "", "{root:?}"),
            Err(error) => assert!(!want.is_empty() && error.contains(want), "{root:?}: {error}"),
        }
    };
    check(Root::whole_home(), "everybody");
    check(Root::internals(), "everybody");
    check(Root::internals().users(["*"]), "");
    check(Root::folder("/"), "the machine");
    check(Root::folder("/proc/self"), "the machine");
    check(Root::folder("/dev"), "the machine");
    check(Root::folder(base.join("way-in")), "the home");
    check(Root::folder(base.join("home/shared")), "everybody");
    check(Root::folder(base.join("home/shared")).roles(["team"]), "");
    check(Root::folder(base.join("home/.tooltrail")).roles(["team"]), "own files");
    check(Root::folder(base.join("keys")), "keys");
    check(Root::folder(base.join("keys/deep")), "keys");
    check(Root::folder(base.join("absent")), "could not open the root");
    check(Root::folder(base), "");
}
