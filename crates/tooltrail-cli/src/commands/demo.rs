//! `tooltrail demo`: replays recorded calls of real tools through a toolbox, and serves the home that records them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::commands::serve::{ServeOptions, serve_at};
use crate::demo;
use crate::failure::Failure;
use crate::listen_address::ListenAddress;
use crate::output::{Data, print_json, talk};
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;
use crate::tokens::{Role, TokenStore};

/// The port that is tried first: the default port of the service.
const PORT: u16 = 7420;

/// See it: calls of real tools, recorded into a fresh home, and the service over them
///
/// Replays calls that were recorded from real MCP servers through a toolbox with a gate, serves the home until Ctrl-C
/// or SIGTERM, and prints the address, a token, a link that fills in the token, where the home is and how to remove it,
/// and three commands to try. Without --home the home is a new folder among the system's temporary files.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen [default: 127.0.0.1:7420, or a free port if that is taken]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    durability: DurabilityArgs,
}

/// Runs the command.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let (settings, own_folder) = place(settings)?;
    let home = settings.create_home()?;
    let recorder = settings.recorder(&home)?;
    let durability = args.durability.over(settings.file()?.durability.as_ref());
    let counts = demo::replay(recorder, durability.clone())?;
    talk(&format!("recorded {} calls of {} users in {}", counts.calls, counts.users, home.root().display()));

    let store = TokenStore::new(settings.keys_path(&home)?);
    let name = format!("demo-{}", std::process::id());
    let token = store.add(&name, Role::Admin, None)?;
    let listen = args.listen.unwrap_or_else(free_address);
    let json = settings.flags.json;
    let (log_level, log_format) = Default::default();
    let listen = vec![ListenAddress::Tcp(listen)];
    let options = ServeOptions { listen, hosts: Vec::new(), durability, log_level, log_format };
    serve_at(options, &settings, |addresses, _| {
        let address = addresses.first().map_or("", |address| &**address);
        let commands = commands(address, &token, home.root());
        if json {
            return print_json(&json!({
                "address": address, "token": token, "page": format!("{address}/#token={token}"),
                "home": home.root(), "folder": own_folder, "commands": commands,
            }));
        }
        let mut data = Data::exact();
        data.line(&format!("address  {address}"))?;
        data.line(&format!("token    {token}"))?;
        data.line(&format!("page     {address}/#token={token}"))?;
        data.line(&format!("home     {}", home.root().display()))?;
        if let Some(folder) = &own_folder {
            data.line(&format!("remove   rm -r '{}'", folder.display()))?;
        }
        data.line("")?;
        data.line("Try, in another terminal:")?;
        for command in &commands {
            data.line(&format!("  {command}"))?;
        }
        data.line("")?;
        data.line("The page's link fills in the token; its part after # is not sent to anybody.")?;
        data.line("The second command shows that the first was recorded too. Ctrl-C ends the demo; its files stay.")?;
        data.finish()
    })
}

/// Returns settings with a new home and new keys for the demo, and the folder of both. If a home was named, returns the
/// settings unchanged and no folder.
fn place(settings: &Settings) -> Result<(Settings, Option<PathBuf>), Failure> {
    let mut settings = settings.clone();
    if settings.flags.home.is_some() {
        return Ok((settings, None));
    }
    let folder = fresh_folder()?;
    settings.flags.home = Some(folder.join("home"));
    settings.flags.keys.get_or_insert(folder.join("keys"));
    Ok((settings, Some(folder)))
}

/// Creates a new folder below the system's folder for temporary files.
fn fresh_folder() -> Result<PathBuf, Failure> {
    for n in 0.. {
        let folder = std::env::temp_dir().join(format!("tooltrail-demo-{}-{n}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            // An earlier process with the same process id left this folder.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::io("create", folder.display(), &error)),
        }
    }
    unreachable!("the loop ends only by returning")
}

/// Returns the usual address, or one with port 0, which picks a free port, if the usual port is taken.
fn free_address() -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    if TcpListener::bind(usual).is_ok() {
        return usual;
    }
    talk(&format!("port {PORT} is taken; another is used"));
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn commands(address: &str, token: &str, home: &Path) -> [String; 3] {
    let curl = format!("curl -s -H 'Authorization: Bearer {token}'");
    let binary = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tooltrail"));
    let here = std::env::current_dir().unwrap_or_default();
    let binary = binary.strip_prefix(&here).unwrap_or(&binary).display();
    [
        format!("{curl} '{address}/api/audit/recent?user=alice&limit=5'"),
        format!("{curl} '{address}/api/audit/recent?q=tool%3Dtooltrail.read'"),
        format!("{binary} stats --home '{}'", home.display()),
    ]
}
