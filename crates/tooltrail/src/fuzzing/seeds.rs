//! The first inputs for fuzzing, made from the frozen lines, so that the fuzzer does not need hours to discover the
//! JSON syntax.

use super::TARGETS;

/// The frozen lines, each in its received and its stored form.
const VECTORS: &str = include_str!("../../tests/data/v1/lines.jsonl");

/// Queries with every kind of term.
const QUERIES: [&str; 10] = [
    "tool=fs.* status=error user=alice session=s-1",
    "last=1h duration>500ms \"free text\"",
    "duration<=1.5s chars>=10",
    "since=2026-11-23 until=2026-11-23T08:15:00+01:00",
    r#"tool="a\*b*" agent!="x \"y\" \\z""#,
    "status!=ok reason=tim*",
    "größe 設定 😀",
    "http://x?a=b",
    r#"user="""#,
    "via=tooltrail id=* trace_id!=0",
];

/// User ids that exercise every rule of the folder encoding.
const USERS: [&str; 6] = ["alice", "Alice", "_system", "../../etc", "größe", ".tooltrail"];

/// Returns the first inputs of a target; none if the target is unknown.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let vectors = || {
        let rows = VECTORS.lines().filter_map(|row| serde_json::from_str::<serde_json::Value>(row).ok());
        rows.flat_map(|row| [row["received"].clone(), row["line"].clone()])
            .filter_map(|text| text.as_str().map(|text| text.trim_end().as_bytes().to_vec()))
    };
    match target {
        "line" => vectors().collect(),
        "query" => {
            let lines = vectors().take(40).collect::<Vec<_>>();
            let pair = |(n, query): (usize, &&str)| [query.as_bytes(), b"\n", &lines[n * 4 + 1]].concat();
            QUERIES.iter().enumerate().map(pair).collect()
        }
        "rollup" => {
            (0..40_u8).map(|n| (0..240_u16).map(|at| (at * 7 + 1) as u8 ^ n.wrapping_mul(37)).collect()).collect()
        }
        "day" => {
            let file = vectors().take(40).flat_map(|line| [&*line, b"\n"].concat()).collect::<Vec<_>>();
            let files =
                [(0, &*file), (3, &file), (63, &file[20..]), (2, b"\n\na\n\nbc\n\n\nd"), (9, b"a\r\n\xEF\xBB\xBF\n")];
            files.map(|(times, file)| [&[0, times, 0, 9, 0, 4], file].concat()).to_vec()
        }
        "journal" => vectors()
            .take(60)
            .enumerate()
            .map(|(n, line)| {
                // First the way to read and the number of frames; then for each frame the kind, day, id, file and a
                // line.
                let mut input = vec![[2, 2, 2, 0, 1][n % 5], 0, u8::try_from(n % 7).unwrap_or(0)];
                for (part, kind) in line.chunks(60).zip((0_u8..6).cycle()) {
                    let length = u8::try_from(part.len()).unwrap_or(0);
                    input.extend([0, kind, 80, n as u8, 0, 0, 9, 0, 1, 2, 0, 5]);
                    input.extend_from_slice(b"alice");
                    input.extend([0, length]);
                    input.extend_from_slice(part);
                    input.extend([0, u8::try_from(n % 9).unwrap_or(0)]);
                }
                input
            })
            .collect(),
        "folder" => USERS
            .iter()
            .flat_map(|user| {
                [1, 40].map(|times| {
                    let user = user.repeat(times);
                    let length = u16::try_from(user.len()).unwrap_or(0).to_be_bytes();
                    [&length[..], user.as_bytes(), &[0, 3], b"x"].concat()
                })
            })
            .collect(),
        "cursor" => ["1 0 2026-11-23 0 a", "1 1764000000000 2026-11-23 7 a b%41\x002026-11-24 9 -5 3 c"]
            .iter()
            .flat_map(|plain| {
                use base64::Engine;
                let spelt = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(plain);
                [plain.as_bytes().to_vec(), spelt.into_bytes()]
            })
            .collect(),
        _ => {
            let found = super::seals::seeds(target);
            let is_target = TARGETS.iter().any(|(name, _)| *name == target);
            assert!(!found.is_empty() || !is_target, "{target} has no seeds");
            found
        }
    }
}
