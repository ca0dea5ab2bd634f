//! The Merkle tree of RFC 6962, section 2.1, with SHA-256.
//!
//! A tree of n leaves is cut into complete subtrees: a node of height h and index i is the root of the 2^h leaves that
//! begin at i · 2^h. Everything here is computed from such nodes, wherever they are stored (see [`Nodes`]).

use std::io;

use sha2::{Digest, Sha256};

/// A SHA-256 hash: a leaf, an inner node or a root.
pub(crate) type Hash = [u8; 32];

/// The most hashes of an inclusion or consistency proof: the height of a tree of 2^63 leaves.
pub(crate) const PATH_HASHES_MAX: usize = 63;

/// Returns the hash of a leaf with this content.
pub(crate) fn leaf_hash(content: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(content).finalize().into()
}

/// Returns the hash of the parent of two nodes.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Returns the root of a tree without leaves.
pub(crate) fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The complete subtrees of a tree that grows: what is needed to add leaves and to compute the root, at most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    leaves: u64,
    /// The roots of the complete subtrees, largest first: one for each bit of `leaves` that is set.
    roots: Vec<Hash>,
}

impl Frontier {
    /// Returns the frontier of the first `leaves` leaves of a stored tree.
    ///
    /// # Errors
    /// As [`Nodes::node`].
    pub(crate) fn of(nodes: &dyn Nodes, leaves: u64) -> io::Result<Self> {
        let mut roots = Vec::new();
        let mut begin = 0;
        for height in (0..64).rev().filter(|height| leaves >> height & 1 == 1) {
            roots.push(nodes.node(height, begin >> height)?);
            begin += 1 << height;
        }
        Ok(Self { leaves, roots })
    }

    /// Returns the number of leaves.
    pub(crate) fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Adds a leaf.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = node_hash(&left, &root);
            }
        }
        self.roots.push(root);
        self.leaves += 1;
    }

    /// Returns the root of all leaves.
    pub(crate) fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(mut root) = roots.next().copied() else { return empty_root() };
        for left in roots {
            root = node_hash(left, &root);
        }
        root
    }

    /// Returns the root of all leaves after `new` is appended. It goes down from the top of the new tree, and so does
    /// the same work as [`Frontier::push`] in another way: the two are compared before a root is signed.
    pub(crate) fn root_with(&self, new: &[Hash]) -> Hash {
        let leaves = self.leaves + new.len() as u64;
        if leaves == 0 { empty_root() } else { self.range(0, leaves, new) }
    }

    fn range(&self, from: u64, to: u64, new: &[Hash]) -> Hash {
        if let Some(known) = self.known(from, to) {
            return known;
        }
        if to - from == 1 {
            return usize::try_from(from - self.leaves).ok().and_then(|at| new.get(at).copied()).unwrap_or_default();
        }
        let middle = from + split(to - from);
        node_hash(&self.range(from, middle, new), &self.range(middle, to, new))
    }

    /// Returns the root of a range that is one of the complete subtrees.
    fn known(&self, from: u64, to: u64) -> Option<Hash> {
        let mut begin = 0;
        let heights = (0..64).rev().filter(|height| self.leaves >> height & 1 == 1);
        for (height, root) in heights.zip(&self.roots) {
            let end = begin + (1_u64 << height);
            if (begin, end) == (from, to) {
                return Some(*root);
            }
            begin = end;
        }
        None
    }
}

/// Where the nodes of a tree are stored.
pub(crate) trait Nodes {
    /// Returns the root of the 2^`height` leaves that begin at `index` · 2^`height`.
    ///
    /// # Errors
    /// Any I/O error of the operating system; [`io::ErrorKind::UnexpectedEof`] if the tree has fewer leaves.
    fn node(&self, height: u32, index: u64) -> io::Result<Hash>;
}

/// The complete subtrees of a tree in memory, level by level: twice the bytes of its leaves, so that each of many proofs
/// costs only the height of the tree.
#[derive(Debug)]
pub(crate) struct Levels(Vec<Vec<Hash>>);

impl Levels {
    /// Returns the levels of a tree with these leaves.
    pub(crate) fn of(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let level = below.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
            levels.push(level);
        }
        Self(levels)
    }

    /// Returns a leaf.
    pub(crate) fn leaf(&self, number: u64) -> Option<Hash> {
        self.0.first()?.get(usize::try_from(number).ok()?).copied()
    }
}

impl Nodes for Levels {
    fn node(&self, height: u32, index: u64) -> io::Result<Hash> {
        let node = || self.0.get(usize::try_from(height).ok()?)?.get(usize::try_from(index).ok()?).copied();
        node().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Nodes for Vec<Hash> {
    fn node(&self, height: u32, index: u64) -> io::Result<Hash> {
        let part = || {
            let from = usize::try_from(index.checked_mul(1 << height)?).ok()?;
            self.get(from..from.checked_add(1 << height)?)
        };
        Ok(reduce(part().ok_or(io::ErrorKind::UnexpectedEof)?.to_vec()))
    }
}

/// Returns the root of a power of two of hashes.
pub(crate) fn reduce(mut hashes: Vec<Hash>) -> Hash {
    let mut count = hashes.len();
    while count > 1 {
        for at in 0..count / 2 {
            hashes[at] = node_hash(&hashes[2 * at], &hashes[2 * at + 1]);
        }
        count /= 2;
    }
    hashes.first().copied().unwrap_or_else(empty_root)
}

/// Returns the root of the leaves from `from` to `to` of a stored tree.
///
/// # Errors
/// As [`Nodes::node`].
fn range(nodes: &dyn Nodes, from: u64, to: u64) -> io::Result<Hash> {
    let count = to - from;
    if count.is_power_of_two() {
        return nodes.node(count.trailing_zeros(), from / count);
    }
    let middle = from + split(count);
    Ok(node_hash(&range(nodes, from, middle)?, &range(nodes, middle, to)?))
}

/// Returns the root of the first `leaves` leaves of a stored tree.
///
/// # Errors
/// As [`Nodes::node`].
pub(crate) fn root(nodes: &dyn Nodes, leaves: u64) -> io::Result<Hash> {
    if leaves == 0 { Ok(empty_root()) } else { range(nodes, 0, leaves) }
}

/// Returns the proof that a leaf is in a tree of `leaves` leaves: the hashes beside its way to the root, from the leaf
/// up.
///
/// # Errors
/// As [`Nodes::node`]; also if the tree has no such leaf.
pub(crate) fn inclusion(nodes: &dyn Nodes, leaf: u64, leaves: u64) -> io::Result<Vec<Hash>> {
    if leaf >= leaves {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (mut from, mut to, mut path) = (0, leaves, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if leaf < middle {
            path.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Returns the proof that the first `old` leaves of a tree of `new` leaves are the whole tree of that size (RFC 6962,
/// section 2.1.2). It is empty if `old` is 0 or equal to `new`.
///
/// # Errors
/// As [`Nodes::node`]; also if `old` is larger than `new`.
pub(crate) fn consistency(nodes: &dyn Nodes, old: u64, new: u64) -> io::Result<Vec<Hash>> {
    if old > new {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(path);
    }
    let (mut from, mut to, mut whole) = (0, new, true);
    // `old` counts from the begin of the tree, and so do `from` and `to`.
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range(nodes, from, middle)?);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range(nodes, from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether the hashes prove that `leaf` is in a tree of `leaves` leaves with this root.
pub(crate) fn proves_inclusion(path: &[Hash], (leaf, content): (u64, Hash), (leaves, root): (u64, Hash)) -> bool {
    if leaf >= leaves || path.len() > PATH_HASHES_MAX {
        return false;
    }
    let (mut index, mut last, mut hash) = (leaf, leaves - 1, content);
    for beside in path {
        if last == 0 {
            return false;
        }
        if index & 1 == 1 || index == last {
            hash = node_hash(beside, &hash);
            // The last node of a level may have no neighbour for some levels.
            while index & 1 == 0 && index != 0 {
                (index, last) = (index >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        (index, last) = (index >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// Whether the hashes prove that the tree with the root `new` is a continuation of the tree with the root `old`.
pub(crate) fn proves_consistency(path: &[Hash], old: (u64, Hash), new: (u64, Hash)) -> bool {
    if old.0 > new.0 || path.len() > PATH_HASHES_MAX {
        return false;
    }
    if old.0 == new.0 {
        return path.is_empty() && old.1 == new.1 && (old.0 > 0 || old.1 == empty_root());
    }
    if old.0 == 0 {
        return path.is_empty() && old.1 == empty_root();
    }
    let mut path = path.iter();
    let (mut index, mut last) = (old.0 - 1, new.0 - 1);
    while index & 1 == 1 {
        (index, last) = (index >> 1, last >> 1);
    }
    // If the old tree is complete, its root begins the way up.
    let begin = if old.0.is_power_of_two() { Some(&old.1) } else { path.next() };
    let Some(begin) = begin else { return false };
    let (mut of_old, mut of_new) = (*begin, *begin);
    for beside in path {
        if last == 0 {
            return false;
        }
        if index & 1 == 1 || index == last {
            (of_old, of_new) = (node_hash(beside, &of_old), node_hash(beside, &of_new));
            while index & 1 == 0 && index != 0 {
                (index, last) = (index >> 1, last >> 1);
            }
        } else {
            of_new = node_hash(&of_new, beside);
        }
        (index, last) = (index >> 1, last >> 1);
    }
    last == 0 && of_old == old.1 && of_new == new.1
}

/// Returns the largest power of two below `count`, which must be at least 2.
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// The definition of RFC 6962, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(usize::try_from(split(leaves.len() as u64)).unwrap());
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        let all = leaves(70);
        let mut frontier = Frontier::default();
        for count in 0..=70_u64 {
            let some = &all[..usize::try_from(count).unwrap()];
            assert_eq!(frontier.root(), defined(some));
            assert_eq!(root(&all, count).unwrap(), defined(some));
            assert_eq!(Frontier::of(&all, count).unwrap(), frontier);
            for more in 0..=70 - count {
                let to = usize::try_from(count + more).unwrap();
                assert_eq!(frontier.root_with(&all[some.len()..to]), defined(&all[..to]), "{count} and {more}");
            }
            if let Some(leaf) = all.get(some.len()) {
                frontier.push(*leaf);
            }
        }
    }

    #[test]
    fn proofs_hold_for_their_leaf_and_sizes_only() {
        let all = leaves(40);
        let root_of = |count: u64| root(&all, count).unwrap();
        for new in 0..=40 {
            for leaf in 0..new {
                let path = inclusion(&all, leaf, new).unwrap();
                let content = all[usize::try_from(leaf).unwrap()];
                assert!(proves_inclusion(&path, (leaf, content), (new, root_of(new))));
                assert!(!proves_inclusion(&path, (leaf, content), (new, root_of(new + 1 - 2 * (new / 40)))));
                assert!(!proves_inclusion(&path, (leaf, leaf_hash(b"x")), (new, root_of(new))));
                assert!(
                    (0..new)
                        .all(|other| other == leaf || !proves_inclusion(&path, (other, content), (new, root_of(new))))
                );
            }
            for old in 0..=new {
                let path = consistency(&all, old, new).unwrap();
                assert!(proves_consistency(&path, (old, root_of(old)), (new, root_of(new))), "{old} {new}");
                assert!(!proves_consistency(&path, (old, leaf_hash(b"x")), (new, root_of(new))), "{old} {new}");
                assert!(!proves_consistency(&path, (old, root_of(old)), (new, leaf_hash(b"x"))) || old == 0);
                let longer = [&path[..], &[[7; 32]]].concat();
                assert!(!proves_consistency(&longer, (old, root_of(old)), (new, root_of(new))), "{old} {new}");
            }
        }
        assert!(inclusion(&all, 40, 40).is_err() && consistency(&all, 41, 40).is_err());
    }
}
