//! The leads: words after or around which a secret of a certain kind may be found.

use crate::redact::scan::commands;
use crate::redact::scan::hit::Lead;
use crate::redact::scan::links;

/// Returns all leads, in lower case.
pub(in crate::redact) fn leads() -> Vec<(&'static str, Lead)> {
    let mut leads = vec![
        ("://", Lead::Userinfo),
        ("jdbc:oracle:thin:", Lead::Oracle),
        ("sqlplus ", Lead::Oracle),
        ("-----begin", Lead::PrivateKey),
        ("-----end", Lead::KeyEnd),
        ("code", Lead::Code),
        ("data:", Lead::Manifest),
        ("=\"", Lead::Assigned),
        (":5432:", Lead::Pgpass),
        (":*:", Lead::Pgpass),
        ("wifi:", Lead::Wifi),
        ("identified by", Lead::Identified),
        ("convertto-securestring ", Lead::Identified),
        ("auth=(", Lead::Call),
        ("basicauth(", Lead::Call),
        ("networkcredential(", Lead::Call),
        (".login(", Lead::Call),
        ("getconnection(", Lead::Call),
    ];
    leads.extend(["bearer ", "basic "].map(|word| (word, Lead::Scheme)));
    leads.extend([" to verify", " to sign in", " to log in"].map(|word| (word, Lead::Purpose)));
    leads.extend(
        ["seed", "mnemonic", "wallet", "bip39", "phrase", "words", "backup", "recover"]
            .map(|word| (word, Lead::Wallet)),
    );
    leads.push((links::HOOK, Lead::Hook));
    leads.extend(links::PATHS.iter().map(|word| (*word, Lead::Path)));
    leads.extend(links::PARAMETERS.iter().map(|word| (*word, Lead::Parameter)));
    leads.extend(commands::words().map(|word| (word, Lead::Command(word))));
    leads.extend(commands::FED.iter().map(|word| (*word, Lead::Fed)));
    leads
}
