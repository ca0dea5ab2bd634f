//! An export gives every entry once, in both orders, and goes on wherever it stopped.

use tooltrail::{Cursor, Export, ExportOrder, Question, Trail, Zone};

use crate::dice::Dice;
use crate::reading::{NOON, all, line, put, trail};

/// Exports until `pages` pages with entries were given. Returns the lines, and the cursor to go on with.
fn export(trail: &Trail, question: &Question, order: ExportOrder, pages: usize) -> (Vec<String>, Option<String>) {
    let (mut lines, mut next, mut left) = (Vec::new(), None, pages);
    let mut export = Export::new(question.clone(), order);
    while left > 0 {
        let Some(page) = export.step(trail).unwrap() else {
            assert!(export.done().complete);
            return (lines, None);
        };
        left -= usize::from(!page.lines.is_empty());
        lines.extend(page.lines);
        next = page.next;
    }
    (lines, next)
}

#[test]
fn both_orders_give_every_entry_and_go_on_at_every_page() {
    let home = tempfile::tempdir().unwrap();
    let mut dice = Dice(8);
    for (user, day) in [("a", 21), ("a", 23), ("b", 22), ("b", 23), ("c", 23)] {
        let mut text = String::new();
        for n in 0..900 {
            // Some lines are late by minutes or hours, and many have the same time.
            let back = [0, 0, 0, 0, 0, 0, 0, 0, 200_000, 9_000_000][dice.below(10) as usize];
            let at = NOON - (23 - day) * 86_400_000 - 2_000_000 + n / 3 * 1_000 - back;
            text += &(line(at, user, n as usize) + "\n");
        }
        put(home.path(), user, &format!("2026-11-{day}"), &text);
    }
    let trail = trail(home.path(), Zone::UTC);
    for query in ["", "tool=t1,t2,t3,t4 mark-", "user=b OR tool=t5"] {
        let mut question = Question::parse(query).unwrap();
        question.limit = 1_000;
        let newest = all(&trail, question.clone()).0;
        let oldest = newest.iter().rev().cloned().collect::<Vec<_>>();
        assert!(newest.len() > 1_000, "{query}: {}", newest.len());
        for (order, expected) in [(ExportOrder::Newest, &newest), (ExportOrder::Oldest, &oldest)] {
            assert!(export(&trail, &question, order, usize::MAX) == (expected.clone(), None), "{query} {order:?}");
            // It stops after each page, and goes on.
            let (mut found, mut parts) = (Vec::new(), 0);
            let mut question = question.clone();
            loop {
                let (lines, next) = export(&trail, &question, order, 1);
                found.extend(lines);
                parts += 1;
                let Some(next) = next else { break };
                question.cursor = Some(Cursor::parse(&next).unwrap());
            }
            assert!(&found == expected, "{query} {order:?}: {} of {}", found.len(), expected.len());
            assert!(parts >= 2, "{query}: {parts}");
        }
    }
}
