//! Prints each new entry of a home, from whatever process it comes: `cargo run -p tooltrail --example follow_live HOME`.
//! Ctrl-C ends it.
#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::error::Error;
use std::time::Duration;

use tooltrail::{Followed, Question, StoredEntry, Trail, Zone};

fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::args_os().nth(1).ok_or("name a home, as in `follow_live ~/.local/share/tooltrail`")?;
    let trail = Trail::open(home)?;
    let zone = Zone::system();
    let mut follow = trail.follow(&Question::new())?;
    loop {
        for arrived in follow.next_batch()? {
            match arrived {
                Followed::Entry(arrived) => {
                    let entry = StoredEntry::parse(&arrived.line, &zone)?;
                    println!("{} {} {} {:?}", entry.ts, entry.user, entry.tool, entry.status);
                }
                Followed::Gap { folder, day, why } => println!("entries may be missing: {folder} {day} {why:?}"),
                // What a later version tells is no reason to stop.
                _ => {}
            }
        }
        if follow.caught_up() {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
