//! Measures databases that sync each transaction. They store our finished lines, a thousand per transaction.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use redb::{Database, Durability, TableDefinition};
use rusqlite::Connection;
use serde_json::json;

use crate::Answer;
use crate::calls::{finished_lines, load};

/// The number of rows in a transaction.
const ROWS: usize = 1_000;

/// The number of distinct lines, which are stored repeatedly.
const DISTINCT: usize = 10_000;

const LINES: TableDefinition<'_, u64, &str> = TableDefinition::new("lines");

/// Stores lines for `seconds` seconds.
pub(crate) fn measure(who: &str, calls: &Path, seconds: f64, dir: &Path) -> Answer {
    let lines = finished_lines(&load(calls, DISTINCT)?, &dir.join("lines"))?;
    let mut store: Box<dyn FnMut(&[String], u64) -> Result<(), Box<dyn Error>>> = match who {
        "sqlite" => {
            let mut store = Connection::open(dir.join("store"))?;
            store.pragma_update(None, "journal_mode", "wal")?;
            store.pragma_update(None, "synchronous", "full")?;
            store.execute("create table lines (id integer primary key, line text not null)", [])?;
            Box::new(move |lines, first| {
                let transaction = store.transaction()?;
                {
                    let mut insert = transaction.prepare_cached("insert into lines (id, line) values (?1, ?2)")?;
                    for (line, id) in lines.iter().zip(first..) {
                        insert.execute((id as i64, line))?;
                    }
                }
                Ok(transaction.commit()?)
            })
        }
        "redb" => {
            let store = Database::create(dir.join("store"))?;
            Box::new(move |lines, first| {
                let mut transaction = store.begin_write()?;
                transaction.set_durability(Durability::Immediate)?;
                {
                    let mut table = transaction.open_table(LINES)?;
                    for (line, id) in lines.iter().zip(first..) {
                        table.insert(id, line.as_str())?;
                    }
                }
                Ok(transaction.commit()?)
            })
        }
        other => return Err(format!("{other}: no such contestant").into()),
    };
    let start = Instant::now();
    let mut stored = 0;
    for part in lines.chunks(ROWS).cycle() {
        if start.elapsed().as_secs_f64() >= seconds {
            break;
        }
        store(part, stored)?;
        stored += part.len() as u64;
    }
    Ok(json!({ "per_s": stored as f64 / start.elapsed().as_secs_f64(), "entries": stored }))
}
