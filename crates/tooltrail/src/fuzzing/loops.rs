//! A short fuzzing run without a fuzzer: random changes, with a fixed seed, of the seed inputs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{TARGETS, seeds};

/// The number of changed inputs for each target.
const ROUNDS: u64 = 3_000;

/// Maximum bytes of an input, so that inputs that grow by splicing stay fast.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Byte sequences that have a meaning for the parsers.
const PIECES: [&[u8]; 26] = [
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\\udc00",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"-1e9",
    b"\0",
    b"\n",
    b"*",
    b"%",
    b"%5F",
    b"=",
    b" ",
    b".",
    b"0",
    b"+",
    b"\xFF",
    "\u{202e}".as_bytes(),
    "設".as_bytes(),
];

/// A random number generator (xorshift*) with a fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize;
        high % bound.max(1)
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(40) + 1)
    }
}

/// Changes an input at one to four places.
fn changed(mut input: Vec<u8>, all: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(3) {
        let range = random.range(input.len());
        match random.below(6) {
            0 => input.iter_mut().skip(range.start).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
            1 => drop(input.drain(range)),
            2 => drop(input.splice(range.start..range.start, PIECES[random.below(PIECES.len())].iter().copied())),
            3 => drop(input.splice(range, PIECES[random.below(PIECES.len())].iter().copied())),
            4 => {
                let part = input[range.clone()].repeat(1 + random.below(20));
                input.splice(range, part);
            }
            _ => {
                let other = &all[random.below(all.len())];
                let part = other[random.range(other.len())].to_vec();
                input.splice(range, part);
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn check(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let mut inputs = seeds(name);
    assert!(!inputs.is_empty(), "{name} has no seeds");
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let holds = |input: &[u8]| {
        let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
        assert!(outcome.is_ok(), "{name} breaks on {:?}", String::from_utf8_lossy(input));
    };
    inputs.iter().for_each(|input| holds(input));
    holds(b"");
    let seeds = inputs.len();
    for _ in 0..ROUNDS {
        let from = if random.below(2) == 0 { seeds } else { inputs.len() };
        let input = changed(inputs[random.below(from)].clone(), &inputs, &mut random);
        holds(&input);
        // Keeps some changed inputs for further changes. Without coverage data, the choice is random.
        if random.below(8) == 0 {
            inputs.push(input);
        }
    }
}

#[test]
fn every_target_has_a_moment() {
    let names = TARGETS.map(|(name, _)| name);
    let own = ["line", "day", "journal", "folder", "query", "cursor", "rollup"];
    assert_eq!(names.to_vec(), [&own[..], &SEAL].concat(), "a test below for each");
}

#[test]
fn lines_keep_their_promises() {
    check("line");
}

#[test]
fn days_keep_their_promises() {
    check("day");
}

#[test]
fn journals_keep_their_promises() {
    check("journal");
}

#[test]
fn folders_keep_their_promises() {
    check("folder");
}

#[test]
fn queries_keep_their_promises() {
    check("query");
}

#[test]
fn cursors_keep_their_promises() {
    check("cursor");
}

#[test]
fn rollups_keep_their_promises() {
    check("rollup");
}

/// The readers of the proof.
const SEAL: [&str; 6] = ["note", "checkpoint", "tile", "record", "proof", "request"];

#[test]
fn readers_of_the_proof_keep_their_promises() {
    SEAL.into_iter().for_each(check);
}
