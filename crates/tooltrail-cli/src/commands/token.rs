//! `tooltrail token`: makes, lists and revokes the tokens of the service.

use std::process::ExitCode;

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Data, Table, print_json, talk};
use crate::settings::Settings;
use crate::tokens::{Kind, Role, Token, TokenStore};

/// Make, list and revoke the tokens of the service
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token and print it alone, once: only its hash is kept
    Add {
        /// What to call it
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        role: Role,
        /// What the sender is, so that its entries keep their ids and how they were recorded; only with --role ingest
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Whose it is: entries sent with it are this user's, and a token of role user reads only them
        #[arg(long)]
        user: Option<String>,
    },
    /// Print the names, roles and users of all tokens
    List,
    /// Remove a token; a running service refuses it within a second
    Revoke {
        /// What it is called
        name: String,
    },
}

/// Runs the command.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Add { name, role, kind, user } => {
            let home = settings.create_home()?;
            let keys = settings.keys_path(&home)?;
            home.make_keys_folder(&keys)?;
            let token = TokenStore::new(keys).add_of_kind(&name, role, kind, user.as_deref())?;
            if settings.flags.json {
                print_json(&json!({ "name": name, "role": role, "kind": kind, "user": user, "token": token }))?;
            } else {
                let mut data = Data::exact();
                data.line(&token)?;
                data.finish()?;
                talk("keep it well: it cannot be shown again");
            }
        }
        Command::List => {
            let tokens = TokenStore::new(settings.keys_path(&settings.open_home()?)?).load()?;
            if settings.flags.json {
                print_json(&json!({ "tokens": tokens.iter().map(object).collect::<Vec<_>>() }))?;
            } else if tokens.is_empty() {
                talk("no tokens; make one with `tooltrail token add NAME --role admin`");
            } else {
                let mut data = Data::styled();
                data.bytes(table(tokens.iter()).render().as_bytes())?;
                data.finish()?;
            }
        }
        Command::Revoke { name } => {
            TokenStore::new(settings.keys_path(&settings.open_home()?)?).revoke(&name)?;
            if settings.flags.json {
                print_json(&json!({ "revoked": name }))?;
            } else {
                talk("revoked; a running service refuses it within a second");
            }
        }
    }
    Ok(Exit::Yes.into())
}

/// Returns a token as a JSON object, without its hash.
fn object(token: &Token) -> serde_json::Value {
    json!({ "name": token.name, "role": token.role, "kind": token.kind, "user": token.user, "created": token.created })
}

/// Returns a table for people.
fn table<'a>(tokens: impl Iterator<Item = &'a Token>) -> Table {
    let mut table = Table::new(&[
        Column::fixed("name"),
        Column::fixed("role"),
        Column::fixed("kind"),
        Column::text("user"),
        Column::fixed("created"),
    ]);
    for token in tokens {
        table.row(vec![
            Cell::new(&token.name),
            Cell::new(token.role.as_str()),
            Cell::new(&token.kind.map(crate::output::word).unwrap_or_default()),
            Cell::new(token.user.as_deref().unwrap_or("")),
            Cell::dim(&token.created),
        ]);
    }
    table
}
