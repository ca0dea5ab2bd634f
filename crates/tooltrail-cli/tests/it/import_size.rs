//! The memory of an import is bounded for files of any size.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use crate::dice::Dice;
use crate::support::{TestHome, line, minutes_ago};

/// Lines of the file.
const LINES: u64 = 200_000;

/// Maximum memory of the process in KiB: two batches in flight, each with 2 MiB of received lines and as much again to
/// write, 8 MB of notes, the binary itself, and some reserve. The lines of the file need more than that.
const MEMORY_KIB_MAX: u64 = 72 * 1024;

/// Returns the peak memory of a process so far, in KiB.
fn high_water_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[test]
fn two_hundred_thousand_lines_in_bounded_memory() {
    let place = TestHome::new();
    let mut dice = Dice(200);
    let path = place.path("lines");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let pad = "x".repeat(200);
    for number in 0..LINES {
        let ts = minutes_ago(dice.below(5 * 24 * 60) as i64);
        let line = line(number, &format!("user-{}", number % 3), Some(ts));
        writeln!(file, "{}", line.replacen("the text", &pad, 1)).unwrap();
    }
    drop(file);
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes / 1024 > MEMORY_KIB_MAX, "a file of {bytes} bytes shows nothing");
    let mut command = place.command(&["import", path.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        most = high_water_kib(child.id()).unwrap_or(0).max(most);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(0));
    println!("{} MiB imported with {} MiB of memory", bytes >> 20, most >> 10);
    assert!((1_024..MEMORY_KIB_MAX).contains(&most), "{most} KiB");
    let lines = place.stored_lines();
    assert_eq!(lines.len() as u64, LINES);
}
