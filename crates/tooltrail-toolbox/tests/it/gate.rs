//! The gate's answers in a table, and a test that deny wins in any order of the rules.

use tooltrail_toolbox::{Effect, Gate, GateRequest, Rule};

/// Returns a rule from `+name` or `-name` and its three lists of globs, which are separated by spaces.
fn rule(name: &str, users: &str, roles: &str, tools: &str) -> Rule {
    let list = |globs: &str| globs.split_whitespace().map(str::to_owned).collect();
    let mut rule = if let Some(name) = name.strip_prefix('-') { Rule::deny(name) } else { Rule::allow(&name[1..]) };
    (rule.users, rule.roles, rule.tools) = (list(users), list(roles), list(tools));
    rule
}

/// Checks the answer for `user/role/tool`; `want` is `+rule` or `-rule`, or only `+` or `-` for the default.
#[track_caller]
fn check(gate: &Gate, asked: &str, want: &str) {
    let parts: Vec<_> = asked.split('/').collect();
    let role = (!parts[1].is_empty()).then_some(parts[1]);
    let verdict = gate.decide(GateRequest { user: parts[0], role, tool: parts[2], alias: None });
    let sign = if verdict.effect == Effect::Allow { "+" } else { "-" };
    assert_eq!(format!("{sign}{}", verdict.rule.unwrap_or_default()), want, "{asked}");
}

#[test]
fn the_table() {
    let rules = vec![
        rule("+readers", "", "", "fs.read fs.list"),
        rule("-no-guests", "", "guest*", ""),
        rule("+alice-may", "alice", "", "*"),
        rule("-never", "", "", "*.delete"),
        rule("+admins", "", "admin", "shell.*"),
    ];
    let gate = Gate { rules, default: Effect::Deny };
    check(&gate, "bob//fs.read", "+readers");
    check(&gate, "bob//fs.reads", "-");
    check(&gate, "bob/guest-1/fs.read", "-no-guests");
    check(&gate, "alice/guest/fs.read", "-no-guests");
    check(&gate, "alice//fs.read", "+readers");
    check(&gate, "alice//db.drop", "+alice-may");
    check(&gate, "alice//fs.delete", "-never");
    check(&gate, "Alice//db.drop", "-");
    check(&gate, "bob/admin/shell.run", "+admins");
    check(&gate, "bob//shell.run", "-");

    let open = Gate { rules: vec![rule("-", "", "", "shell.*")], default: Effect::Allow };
    check(&open, "bob//fs.read", "+");
    check(&open, "bob//shell.run", "-");
    check(&Gate::default(), "//", "+");

    let any_role = Gate { rules: vec![rule("-all", "", "*", ""), rule("+x", "", "", "")], default: Effect::Allow };
    check(&any_role, "bob//fs.read", "-all");
}

#[test]
fn deny_wins_in_any_order() {
    let mut random = crate::dice::Dice(7);
    for round in 0..2_000 {
        let mut pick = |choices: &[&str]| choices[random.below(choices.len() as u64) as usize].to_owned();
        let mut rules: Vec<_> = (0..6)
            .map(|n| {
                let sign = pick(&["+", "-"]);
                let users = pick(&["", "alice", "b*"]);
                let roles = pick(&["", "admin", "guest"]);
                rule(&format!("{sign}{n}"), &users, &roles, &pick(&["", "fs.*", "*.read", "shell.run"]))
            })
            .collect();
        let (user, role, tool) = (pick(&["alice", "bob"]), pick(&["admin", "guest"]), pick(&["fs.read", "shell.run"]));
        let asked = GateRequest { user: &user, role: Some(&role), tool: &tool, alias: None };

        let matching: Vec<_> = rules.iter().filter(|rule| rule.matches(asked)).map(|rule| rule.effect).collect();
        let want = if matching.contains(&Effect::Deny) || matching.is_empty() { Effect::Deny } else { Effect::Allow };
        for _ in 0..4 {
            for n in (1..rules.len()).rev() {
                rules.swap(n, random.below(n as u64 + 1) as usize);
            }
            let gate = Gate { rules: rules.clone(), default: Effect::Deny };
            assert_eq!(gate.decide(asked).effect, want, "round {round}: {asked:?} by {rules:?}");
        }
    }
}
