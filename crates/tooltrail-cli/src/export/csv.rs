//! CSV (RFC 4180): one column for each field, and one row for each entry.

use super::fields::Fields;

/// The columns, in the order of the fields of a stored line.
const COLUMNS: [&str; 26] = [
    "ts",
    "user",
    "tool",
    "args",
    "status",
    "result_chars",
    "result_snippet",
    "id",
    "duration_ms",
    "reason",
    "session",
    "call_id",
    "parent",
    "agent",
    "model",
    "client",
    "server",
    "via",
    "identity",
    "claimed_user",
    "rule",
    "redacted",
    "trace_id",
    "span_id",
    "extra",
    "salt",
];

/// Returns the row of the column names.
pub(super) fn head() -> Vec<u8> {
    written(|writer| writer.write_record(COLUMNS))
}

/// Returns the rows of stored lines.
pub(super) fn rows(lines: &[String]) -> Vec<u8> {
    written(|writer| {
        for line in lines {
            let fields = Fields::read(line);
            for column in COLUMNS {
                let cell = fields.text(column).unwrap_or_default();
                match is_formula(&cell) {
                    true => writer.write_field(format!("'{cell}"))?,
                    false => writer.write_field(&*cell)?,
                }
            }
            writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    })
}

/// Whether a spreadsheet would take a cell for a formula. Such a cell gets an apostrophe in front of it, which shows it as
/// the text that it is (OWASP, "CSV Injection").
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

fn written(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Writing into memory cannot fail, and each row has all columns.
    let _ = write(&mut writer);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let rows = String::from_utf8(rows(&[line.to_owned()])).unwrap();
        assert_eq!(rows.split_once(",,,").map_or(&*rows, |(first, _)| first), expected, "{line}");
    }

    #[test]
    fn cells_are_quoted_and_formulas_are_texts() {
        assert!(String::from_utf8(head()).unwrap().starts_with("ts,user,tool,args,status,"));
        let line = |tool: &str, snippet: &str| {
            format!(
                r#"{{"ts":"2026-11-23T08:15:00.000Z","user":"a","tool":{tool},"args":{{"a":"b,c"}},"status":"ok","result_chars":5,"result_snippet":{snippet}}}"#
            )
        };
        let row = |tool: &str, snippet: &str| {
            format!(r#"2026-11-23T08:15:00.000Z,a,{tool},"{{""a"":""b,c""}}",ok,5,{snippet}"#)
        };
        check(&line(r#""t""#, r#""x""#), &row("t", "x"));
        check(&line(r#""=cmd|' /C calc'!A0""#, r#""a\"b\n""#), &row("'=cmd|' /C calc'!A0", "\"a\"\"b\n\""));
        for begin in ["+1", "-1", "@x", "\\t=1", "\\r=1", "＝1"] {
            let text = serde_json::from_str::<String>(&format!("\"{begin}\"")).unwrap();
            let found = String::from_utf8(rows(&[line(&format!("\"{begin}\""), "\"\"")])).unwrap();
            assert!(found.contains(&format!("'{text}")), "{begin}: {found}");
        }
        assert_eq!(String::from_utf8(rows(&["no object".to_owned()])).unwrap().trim_end(), ",".repeat(25));
    }
}
