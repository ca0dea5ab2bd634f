//! Finds secrets in base64, and base64 lines that are the middle or the end of a private key.

use std::ops::Range;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;

/// Minimum characters of a base64 run that is decoded. They encode fifteen bytes.
const RUN_MIN: usize = 20;
/// Distance between the positions at which a run is looked for.
const STEP: usize = RUN_MIN / 2;
/// Maximum characters of base64 that are decoded. The window of a result contains no more.
const RUN_MAX: usize = 16_384;
/// Minimum characters of a line that may continue on the next line.
const LINE_MIN: usize = 60;
/// Line widths of private keys: RFC 7468 has 64, OpenSSH 70.
const KEY_WIDTHS: [usize; 2] = [64, 70];
/// Minimum number of full lines of a key whose beginning is not in the text.
const KEY_LINES_MIN: usize = 2;

const READER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A block of base64 in a text: one run, or several lines of equal width and a shorter last line.
struct Block {
    span: Range<usize>,
    /// The base64 characters, without line ends.
    text: String,
    /// The line width and the number of full lines, if there are several lines.
    lines: Option<(usize, usize)>,
}

/// Pushes a hit for each base64 block that contains a secret. `rule` returns the rule of a secret in the decoded text.
pub(in crate::redact) fn hidden(text: &str, rule: &mut dyn FnMut(&str) -> Option<&'static str>, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let (mut at, mut done) = (STEP - 1, 0);
    // A run of at least two steps contains two neighbouring positions and the one halfway, wherever it begins.
    while at + STEP < bytes.len() {
        if !(is_base64(bytes[at]) && is_base64(bytes[at + STEP]) && is_base64(bytes[at + STEP / 2])) {
            at += STEP;
            continue;
        }
        let from = at - bytes[done..at].iter().rev().take_while(|byte| is_base64(**byte)).count();
        let run = right(&text[..floor(text, from + RUN_MAX)], from, is_base64);
        if run - from < RUN_MIN {
            (at, done) = (run + STEP, run);
            continue;
        }
        if run - from < LINE_MIN && !starts(text, from..run, false).any(|start| may_be_text(&bytes[start..run])) {
            (at, done) = (run + STEP, run);
            continue;
        }
        let block = block(text, from, run);
        (at, done) = (block.span.end + STEP, block.span.end);
        let found = starts(text, from..run, block.lines.is_some()).find_map(|start| {
            let inner = undone(&block.text[start - from..])?;
            rule(&inner).map(|rule| Hit::new(start, block.span.end, rule))
        });
        hits.extend(found.or_else(|| key_part(text, &block)));
    }
}

/// The six bits of each base64 character, in both alphabets; 64 for all other bytes.
static BITS: [u8; 256] = bits();

const fn bits() -> [u8; 256] {
    let (mut bits, signs) = ([64; 256], b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    let mut at = 0;
    while at < 64 {
        bits[signs[at] as usize] = at as u8;
        at += 1;
    }
    bits[b'-' as usize] = 62;
    bits[b'_' as usize] = 63;
    bits
}

#[inline]
fn is_base64(byte: u8) -> bool {
    BITS[usize::from(byte)] < 64
}

/// Returns whether the first decoded bytes of a run are text, as UTF-8 or UTF-16. Nearly all runs are rejected here.
fn may_be_text(run: &[u8]) -> bool {
    let mut bytes = run[..run.len().min(16)].chunks_exact(4).flat_map(|four| {
        let all = four.iter().fold(0_u32, |all, byte| all << 6 | u32::from(BITS[usize::from(*byte)]));
        [(all >> 16) as u8, (all >> 8) as u8, all as u8]
    });
    let wide = run.get(..16).is_some_and(|_| bytes.clone().skip(1).step_by(2).all(|byte| byte == 0));
    wide || bytes.all(is_text)
}

/// Returns the run and the lines that continue it.
fn block(text: &str, from: usize, run: usize) -> Block {
    let mut block = Block { span: from..run, text: text[from..run].to_owned(), lines: None };
    let width = run - from;
    while width >= LINE_MIN && block.text.len() < RUN_MAX {
        let Some(start) = next_line(text, block.span.end).filter(|start| !text[*start..].starts_with("--")) else {
            break;
        };
        let end = right(&text[..floor(text, start + width + 1)], start, is_base64);
        if end == start || end - start > width {
            break;
        }
        block.text.push_str(&text[start..end]);
        block.span.end = end;
        let full = block.lines.map_or(1, |lines| lines.1) + usize::from(end - start == width);
        block.lines = Some((width, full));
        if end - start < width {
            break;
        }
    }
    block.span.end = right(text, block.span.end, |byte| byte == b'=');
    block
}

/// Returns where the next line begins, if a line end follows here, plain or escaped.
fn next_line(text: &str, at: usize) -> Option<usize> {
    let end = ["\r\n", "\n", "\\r\\n", "\\n"].iter().find(|end| text[at..].starts_with(**end))?;
    Some(right(text, at + end.len(), |byte| byte == b' ' || byte == b'\t'))
}

/// Returns the positions at which the base64 may begin: at the start of the run, after the letter of an escape, or
/// after a path.
fn starts(text: &str, run: Range<usize>, lines: bool) -> impl Iterator<Item = usize> {
    let escaped = text[..run.start].ends_with('\\').then_some(run.start + 1);
    let path = text[run.clone()].rfind('/').filter(|_| !lines).map(|at| run.start + at + 1);
    [Some(run.start), escaped, path].into_iter().flatten().filter(move |start| run.end - start >= RUN_MIN - 4)
}

/// Returns the decoded text, or `None` if the bytes are no text.
fn undone(encoded: &str) -> Option<String> {
    if !may_be_text(encoded.as_bytes()) {
        return None;
    }
    let whole = &encoded[..encoded.len() - usize::from(encoded.len() % 4 == 1)];
    let bytes = READER.decode(whole.replace('-', "+").replace('_', "/")).ok()?;
    // PowerShell encodes its texts as UTF-16.
    let wide = bytes.get(1) == Some(&0);
    let bytes = if wide { bytes.into_iter().step_by(2).collect() } else { bytes };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            // The last character may have been cut.
            (valid + 4 > bytes.len()).then(|| String::from_utf8_lossy(&bytes[..valid]).into_owned())
        }
    }
    .filter(|text| !text.bytes().any(|byte| byte < b' ' && !byte.is_ascii_whitespace()))
}

fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7F || matches!(byte, b'\n' | b'\r' | b'\t')
}

/// Returns the lines of a private key whose beginning is not in the text.
fn key_part(text: &str, block: &Block) -> Option<Hit> {
    let (width, lines) = block.lines?;
    let has = |fits: fn(&u8) -> bool| block.text.bytes().any(|byte| fits(&byte));
    let random = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    if lines < KEY_LINES_MIN || !KEY_WIDTHS.contains(&width) || !random {
        return None;
    }
    // Inside an element, or after a `BEGIN` line, the surroundings say what the block is.
    let edge = |side: &str| side.trim_matches(|c: char| c.is_whitespace()).starts_with('<');
    if text[..block.span.start].trim_end().ends_with('>') || edge(&text[block.span.end..]) {
        return None;
    }
    let before = text[..block.span.start].rfind("-----BEGIN").is_some();
    let after = text[block.span.end..].find("-----END").map(|at| &text[block.span.end + at..]);
    let private = after.is_none_or(|end| end[..floor(end, 48)].contains("PRIVATE KEY"));
    (!before && private).then(|| Hit::new(block.span.start, block.span.end, "private-key"))
}

/// Returns the last lines of a private key before its `END` line, if its `BEGIN` line is not in the text.
pub(in crate::redact) fn key_end(text: &str, at: usize) -> Option<Hit> {
    let end = &text[at..floor(text, at + 48)];
    if !end.contains("PRIVATE KEY") || text[..at].contains("-----BEGIN") {
        return None;
    }
    let body = |byte: &u8| is_base64(*byte) || b"=\r\n\\ \t".contains(byte);
    let from = at - text.as_bytes()[..at].iter().rev().take(RUN_MAX).take_while(|byte| body(byte)).count();
    // A word before the key is not part of it.
    let from = text[from..at].rfind(' ').map_or(from, |blank| from + blank + 1);
    let start = right(text, from, |byte| byte.is_ascii_whitespace());
    let until = start + text[start..at].trim_end_matches(['\n', '\r', ' ']).len();
    (until >= start + 4).then(|| Hit::new(start, until, "private-key"))
}
