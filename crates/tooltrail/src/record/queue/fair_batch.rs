//! Fair batches: if more items wait than fit into a batch, each user gets the same share of it. The entries of one user
//! stay in order.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};

use crate::record::queue::item::Item;
use crate::record::queue::weight::counted;

/// The items that wait for a batch, in the order of their positions, each with its weight.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    items: VecDeque<(Item, u64)>,
    weight: u64,
}

/// The entries and bytes of each user, by the hash of the user's name.
type Shares = HashMap<u64, (usize, usize)>;

impl Backlog {
    /// Appends an item.
    pub(crate) fn push(&mut self, item: Item, weight: u64) {
        self.weight = self.weight.wrapping_add(weight);
        self.items.push_back((item, weight));
    }

    /// Whether no item waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the weight of all waiting items.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// Takes the first items, about `entries_max` entries and `bytes_max` bytes at most, without shares for users. It
    /// is used when no caller waits.
    pub(crate) fn take_first(&mut self, entries_max: usize, bytes_max: usize) -> VecDeque<(Item, u64)> {
        let (mut taken, mut gone) = (VecDeque::new(), 0_u64);
        if counted(self.weight).0 <= entries_max && counted(self.weight).1 <= bytes_max {
            self.weight = 0;
            return std::mem::take(&mut self.items);
        }
        while taken.len() < entries_max && counted(gone).1 < bytes_max {
            let Some((item, weight)) = self.items.pop_front() else { break };
            gone = gone.wrapping_add(weight);
            taken.push_back((item, weight));
        }
        self.weight = self.weight.wrapping_sub(gone);
        taken
    }

    /// Takes a batch of about `entries_max` entries and `bytes_max` bytes at most, with an equal share for each user.
    ///
    /// If not all items fit, a barrier is taken only after all items before it, and ends the batch.
    pub(crate) fn take(&mut self, entries_max: usize, bytes_max: usize) -> VecDeque<(Item, u64)> {
        let (entries, bytes) = counted(self.weight);
        if entries <= entries_max && bytes <= bytes_max {
            self.weight = 0;
            return std::mem::take(&mut self.items);
        }
        let end = self.items.iter().position(|(item, _)| item.is_barrier()).unwrap_or(self.items.len());
        let shares = shares(self.items.iter().take(end));
        let entries_share = share(shares.values().map(|(entries, _)| *entries), entries_max);
        let bytes_share = share(shares.values().map(|(_, bytes)| *bytes), bytes_max);
        let rest = self.items.split_off(end);
        let mut taken = VecDeque::new();
        let mut had = Shares::new();
        for (item, weight) in std::mem::take(&mut self.items) {
            let may = match user_of(&item) {
                Some(user) => {
                    let (entries, bytes) = had.entry(user).or_default();
                    let may = *entries < entries_share && *bytes < bytes_share;
                    // Once an entry of a user has to wait, all later entries of this user wait too.
                    (*entries, *bytes) = if may { (*entries + 1, *bytes + counted(weight).1) } else { (usize::MAX, 0) };
                    may
                }
                // The end of a call must not come before its beginning, which may be among the waiting items.
                None => self.items.is_empty(),
            };
            if may { taken.push_back((item, weight)) } else { self.items.push_back((item, weight)) }
        }
        let barriers = self.items.is_empty();
        self.items.extend(rest);
        while barriers && let Some(barrier) = self.items.pop_front_if(|(item, _)| item.is_barrier()) {
            taken.push_back(barrier);
        }
        let gone = taken.iter().fold(0_u64, |sum, (_, weight)| sum.wrapping_add(*weight));
        self.weight = self.weight.wrapping_sub(gone);
        taken
    }

    /// Returns the hashes of the users who have more than `entries` entries or more than `bytes` bytes in the backlog.
    pub(crate) fn over(&self, entries: usize, bytes: usize) -> Vec<u64> {
        let over = |share: &(usize, usize)| share.0 > entries || share.1 > bytes;
        shares(self.items.iter()).into_iter().filter(|(_, share)| over(share)).map(|(user, _)| user).collect()
    }
}

/// Returns a hash of a user's name.
pub(crate) fn hash(user: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    hash.write(user.as_bytes());
    hash.finish()
}

fn user_of(item: &Item) -> Option<u64> {
    item.user().map(hash)
}

fn shares<'a>(items: impl Iterator<Item = &'a (Item, u64)>) -> Shares {
    let mut shares = Shares::new();
    for (item, weight) in items {
        if let Some(user) = user_of(item) {
            let (entries, bytes) = shares.entry(user).or_default();
            *entries += 1;
            *bytes += counted(*weight).1;
        }
    }
    shares
}

/// Returns the largest share per user with which all users together take no more than `most`; a user who has less than
/// the share takes only that. The share is at least 1, so that every user makes progress.
fn share(have: impl Iterator<Item = usize>, most: usize) -> usize {
    let mut have = have.collect::<Vec<_>>();
    have.sort_unstable();
    let (mut left, mut users) = (most, have.len());
    for have in have {
        if have > left / users {
            return (left / users).max(1);
        }
        left -= have;
        users -= 1;
    }
    usize::MAX
}

#[cfg(all(test, not(feature = "schedules")))]
mod tests {
    use super::*;
    use crate::call::Call;
    use crate::record::queue::item::Source;
    use crate::record::queue::promise::promise;

    fn entry(user: &str, n: usize) -> Item {
        Item::Entry(Source::Moved(Box::new(Call::new(user, n.to_string(), "{}"))), None, None)
    }

    fn barrier() -> Item {
        Item::Seen(promise(1).1.remove(0))
    }

    /// Describes a batch: the user and the number of each entry, and `|` for a barrier.
    fn said(batch: &VecDeque<(Item, u64)>) -> String {
        let word = |(item, _): &(Item, u64)| match item {
            Item::Entry(Source::Moved(call), ..) => format!("{}{}", call.user, call.tool),
            _ => "|".to_owned(),
        };
        batch.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    /// Fills a backlog with entries, one for each letter, which is the user. Then takes batches and compares them.
    fn check(users: &str, entries_max: usize, bytes_max: usize, expected: &[&str]) {
        let mut backlog = Backlog::default();
        let mut counts = HashMap::new();
        for user in users.chars().filter(|user| *user != ' ') {
            let n = counts.entry(user).or_insert(0);
            let item = if user == '|' { barrier() } else { entry(&user.to_string(), *n) };
            *n += 1;
            backlog.push(item, 100 << 24 | 1);
        }
        let batches = expected.iter().map(|_| said(&backlog.take(entries_max, bytes_max))).collect::<Vec<_>>();
        assert_eq!(batches, expected, "{users}");
        assert!(backlog.is_empty() && backlog.weight() == 0, "{users}: {backlog:?}");
    }

    #[test]
    fn each_user_has_its_turn_and_its_order() {
        check("", 4, 9_999, &[""]);
        check("aaab", 4, 9_999, &["a0 a1 a2 b0"]);
        check("aaaaaa", 4, 9_999, &["a0 a1 a2 a3", "a4 a5"]);
        check("aaaaaaaab", 4, 9_999, &["a0 a1 a2 b0", "a3 a4 a5 a6", "a7"]);
        check("aaaaaabbc", 4, 9_999, &["a0 b0 c0", "a1 a2 a3 b1", "a4 a5"]);
        check("aaaa|b", 4, 9_999, &["a0 a1 a2 a3 |", "b0"]);
        check("aaaaaa|bb", 4, 9_999, &["a0 a1 a2 a3", "a4 a5 |", "b0 b1"]);
        check("||aaaaa|", 4, 9_999, &["| |", "a0 a1 a2 a3", "a4 |"]);
        check("aaaaab", 9, 300, &["a0 a1 b0", "a2 a3 a4"]);
        check("abcdef", 3, 9_999, &["a0 b0 c0 d0 e0 f0"]);
    }

    #[test]
    fn who_has_most_is_known() {
        let mut backlog = Backlog::default();
        (0..10).for_each(|n| backlog.push(entry("noisy", n), 100 << 24 | 1));
        backlog.push(entry("quiet", 0), 900 << 24 | 1);
        assert_eq!(backlog.over(9, 9_999), [hash("noisy")]);
        assert!(backlog.over(10, 9_999).is_empty());
        assert_eq!(backlog.over(99, 999), [hash("noisy")]);
        assert_eq!(backlog.over(99, 899).len(), 2);
    }
}
