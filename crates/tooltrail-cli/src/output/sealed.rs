//! What people are told of an entry besides its fields: its seal, and what it is the first use of.

use tooltrail::seal::Sealed;
use tooltrail::{EntryId, Home, Timestamp, Trail, Zone};

/// Returns when an entry was sealed and who vouches for that, or why it is not sealed. An entry without an id of ours has
/// no seal that can be looked up.
pub(crate) fn sealed_words(home: &Home, line: &str, zone: &Zone) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        id: &'a str,
    }
    let id = EntryId::parse(serde_json::from_str::<Entry<'_>>(line).ok()?.id)?;
    match tooltrail::seal::prove(home, id) {
        Ok(Some(Sealed::Yes(proof))) => {
            let (at, size) = proof.sealed_at()?;
            vouched_words(at, size, &proof.signers(), zone)
        }
        Ok(Some(Sealed::No(why))) => Some(format!("no: {why}")),
        Ok(Some(_) | None) => None,
        Err(error) => Some(format!("could not be told: {}", error.message())),
    }
}

/// Says of what an entry is the first use by its user; `None` if of nothing, or if that is not known.
pub(crate) fn first_words(trail: &Trail, line: &str) -> Option<String> {
    first_kinds_words(&trail.firsts_of(line).ok()?.iter().map(|kind| kind.as_str()).collect::<Vec<_>>())
}

/// Says the same of these words for tool, server and client.
pub(crate) fn first_kinds_words(kinds: &[&str]) -> Option<String> {
    let used = kinds.iter().map(|kind| format!("this {kind}")).collect::<Vec<_>>().join(", ");
    (!kinds.is_empty()).then(|| format!("the first use of {used} by this user's agents"))
}

/// Says when an entry was sealed, in a checkpoint of which size, and who signed it.
pub(crate) fn vouched_words(at: u64, size: u64, signers: &[String], zone: &Zone) -> Option<String> {
    let (date, time) = zone.wall_clock(Timestamp::from_millis(i64::try_from(at).ok()?));
    let witnesses = signers.iter().skip(1).map(|name| format!("witness {name}"));
    let vouched = std::iter::once("self".to_owned()).chain(witnesses).collect::<Vec<_>>().join(", ");
    Some(format!("{date} {time}, checkpoint of size {size}, vouched by {vouched}"))
}
