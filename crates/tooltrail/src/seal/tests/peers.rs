//! Trees, proofs, notes and tiles compared with those of other implementations.
//!
//! `TOOLTRAIL_CASES` sets the number of random cases.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use signed_note::{Note as TheirNote, StandardVerifier, VerifierList};
use tlog_tiles::tlog;

use crate::disk::RealDisk;
use crate::seal::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::seal::log::{HashFiles, Log};
use crate::seal::note::{KeyKind, Signed, SignerKey};
use crate::seal::tree::{consistency, inclusion, leaf_hash, proves_consistency, proves_inclusion, root};

/// The number of random cases in the test suite.
const CASES: u64 = 10_000;

/// The largest tree.
const LEAVES_MAX: u64 = 700;

/// Random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ mixed >> 31) % bound.max(1)
    }
}

/// The hashes of a tree as `tlog_tiles` stores them.
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

#[test]
fn trees_and_proofs_are_those_of_others() {
    let contents = (0..LEAVES_MAX).map(|n| format!("line {n}")).collect::<Vec<_>>();
    let leaves = contents.iter().map(|content| leaf_hash(content.as_bytes())).collect::<Vec<_>>();
    let mut stored = Stored(Vec::new());
    for (n, content) in (0..).zip(&contents) {
        let new = tlog::stored_hashes(n, content.as_bytes(), &stored).unwrap();
        stored.0.extend(new);
    }
    let trees = |size: u64| {
        let mut tree = MemoryBackedTree::<Sha256, String>::new();
        contents.iter().take(usize::try_from(size).unwrap()).for_each(|content| tree.push(content.clone()));
        tree
    };
    let cases = std::env::var("TOOLTRAIL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let mut dice = Dice(1);
    let (mut size, mut tree) = (0, trees(0));
    for case in 0..cases {
        if case % 500 == 0 {
            size = 1 + dice.below(LEAVES_MAX);
            tree = trees(size);
            let ours = root(&leaves, size).unwrap();
            assert_eq!(ours, tlog::tree_hash(size, &stored).unwrap().0);
            assert_eq!(ours[..], tree.root().as_bytes()[..]);
        }
        let (leaf, old) = (dice.below(size), 1 + dice.below(size));
        let (ours, our_root) = (inclusion(&leaves, leaf, size).unwrap(), root(&leaves, size).unwrap());
        let theirs = tlog::prove_record(size, leaf, &stored).unwrap();
        assert_eq!(ours, theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(), "{leaf} of {size}");
        assert_eq!(ours.concat(), tree.prove_inclusion(usize::try_from(leaf).unwrap()).as_bytes());
        let (grown, old_root) = (consistency(&leaves, old, size).unwrap(), root(&leaves, old).unwrap());
        let theirs = tlog::prove_tree(size, old, &stored).unwrap();
        assert_eq!(grown, theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(), "{old} of {size}");
        assert_eq!(grown.concat(), tree.prove_consistency(usize::try_from(size - old).unwrap()).as_bytes());
        // A damaged proof is refused by all or accepted by all.
        let damage = |path: &[[u8; 32]], dice: &mut Dice| {
            let mut path = path.to_vec();
            let at = usize::try_from(dice.below(path.len() as u64)).unwrap();
            match dice.below(5) {
                0 if !path.is_empty() => path[at][0] ^= 1,
                1 if !path.is_empty() => drop(path.remove(at)),
                2 => path.insert(at, [7; 32]),
                3 if path.len() > 1 => path.swap(0, at),
                _ => {}
            }
            path
        };
        let theirs = |path: &[[u8; 32]]| path.iter().map(|hash| tlog::Hash(*hash)).collect::<Vec<_>>();
        let (path, other) = (damage(&ours, &mut dice), if dice.below(3) == 0 { dice.below(size) } else { leaf });
        let content = leaves[usize::try_from(leaf).unwrap()];
        let by_us = proves_inclusion(&path, (other, content), (size, our_root));
        let by_them =
            tlog::check_record(&theirs(&path), size, tlog::Hash(our_root), other, tlog::Hash(content)).is_ok();
        assert_eq!(by_us, by_them, "{other} of {size}: {path:?}");
        let (path, other) = (damage(&grown, &mut dice), if dice.below(3) == 0 { 1 + dice.below(size) } else { old });
        let by_us = proves_consistency(&path, (other, old_root), (size, our_root));
        let (new, old) = (tlog::Hash(our_root), tlog::Hash(old_root));
        let by_them = tlog::check_tree(&theirs(&path), size, new, other, old).is_ok();
        assert_eq!(by_us, by_them, "{other} of {size}: {path:?}");
    }
}

#[test]
fn notes_and_checkpoints_are_read_by_others() {
    for n in 0..50_u8 {
        let signer = SignerKey::new(&format!("example.com/log{n}"), KeyKind::Log, &[n; 32]);
        let origin = signer.verifier().name().to_owned();
        let checkpoint = Checkpoint { origin, size: u64::from(n) * 1_000_003 + 1, root: [n; 32] };
        let note = checkpoint.sign(&[&signer]);
        let verifier = StandardVerifier::new(&signer.verifier().to_string()).unwrap();
        let theirs = TheirNote::from_bytes(note.as_bytes()).unwrap();
        assert_eq!(theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap().0.len(), 1);
        let read = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        assert_eq!(
            (read.origin(), read.size(), read.hash().0),
            (&*checkpoint.origin, checkpoint.size, checkpoint.root)
        );
        let ours = SignedCheckpoint::parse(&String::from_utf8(theirs.to_bytes()).unwrap()).unwrap();
        assert_eq!(ours.note.signed_by(&signer.verifier()), Signed::Yes(0));
    }
}

#[test]
fn tiles_are_those_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let disk: std::sync::Arc<dyn crate::disk::Disk> =
        std::sync::Arc::new(RealDisk::open(folder.path(), false).unwrap());
    let mut log = Log::open(&disk, None).unwrap().unwrap();
    let size = 70_000_u64;
    let entries = (0..size).map(|n| n.to_string().into_bytes()).collect::<Vec<_>>();
    log.append(&entries).unwrap();
    let mut stored = Stored(Vec::new());
    for (n, entry) in (0..).zip(&entries) {
        let new = tlog::stored_hashes(n, entry, &stored).unwrap();
        stored.0.extend(new);
    }
    let tiles = tlog_tiles::Tile::new_tiles(8, 0, size);
    assert!(tiles.len() > 270);
    for tile in tiles {
        let from = tile.level_index() * 256;
        let ours = HashFiles { disk: &*disk }.read(tile.level().into(), from, tile.width().into()).unwrap();
        assert_eq!(ours, tile.read_data(&stored).unwrap(), "{}", tile.path());
    }
}
