//! The matcher of a scan, built once: the prefilter with all its words, and the patterns of the token shapes.

use std::sync::OnceLock;

use regex::Regex;

use crate::redact::marks::OPENING;
use crate::redact::rules::benign::entropy;
use crate::redact::rules::names;
use crate::redact::rules::shapes::{PREFIXED, Shape, VENDORS};
use crate::redact::scan::hit::{Lead, Trigger};
use crate::redact::scan::leads::leads;
use crate::redact::scan::prefilter::{Candidate, Prefilter};
use crate::redact::scan::world;

/// Finds candidates and matches the forms of tokens.
#[derive(Debug)]
pub(in crate::redact) struct Matcher {
    pub(in crate::redact) prefilter: Prefilter,
    /// The patterns of the shapes, each compiled at its first use.
    forms: Vec<OnceLock<Option<Regex>>>,
}

impl Matcher {
    /// Builds the matcher from the words of all shapes, vendors, names and leads.
    pub(in crate::redact) fn new() -> Self {
        let mut words = Vec::new();
        for (index, shape) in PREFIXED.iter().enumerate() {
            words.extend(shape.triggers().into_iter().map(|word| (word, Trigger::Shape(index))));
        }
        let mut vendors: Vec<&str> = VENDORS.iter().flat_map(|shape| shape.words).copied().collect();
        vendors.sort_unstable();
        vendors.dedup();
        words.extend(vendors.iter().map(|word| ((*word).to_owned(), Trigger::Vendor)));
        words.extend(names::TRIGGERS.iter().map(|word| ((*word).to_owned(), Trigger::Name)));
        words.extend(leads().into_iter().map(|(word, lead)| (word.to_owned(), Trigger::Lead(lead))));
        words.extend(world::words().map(|word| (word, Trigger::World)));
        words.push((OPENING.to_owned(), Trigger::Mark));
        let forms = PREFIXED.iter().chain(VENDORS).map(|_| OnceLock::new()).collect();
        Self { prefilter: Prefilter::new(words), forms }
    }

    /// Returns whether the text of these candidates contains a command that reads a password from standard input.
    pub(in crate::redact) fn asks(&self, candidates: &[Candidate]) -> bool {
        candidates.iter().any(|candidate| matches!(self.prefilter.open(*candidate).2, Trigger::Lead(Lead::Fed)))
    }

    /// Returns whether the text of these candidates contains a word that names a secret.
    pub(in crate::redact) fn is_named(&self, candidates: &[Candidate]) -> bool {
        let names = |candidate: &Candidate| {
            matches!(self.prefilter.open(*candidate).2, Trigger::Name | Trigger::World | Trigger::Lead(Lead::Code))
        };
        candidates.iter().any(names)
    }

    /// Returns where the form ends in a text that begins with it, if the entropy of the token is high enough.
    pub(in crate::redact) fn matches(&self, form: usize, shape: &Shape, text: &str) -> Option<usize> {
        let form = self.forms.get(form)?.get_or_init(|| Regex::new(&shape.pattern()).ok()).as_ref()?;
        let end = form.find(text)?.end();
        (entropy(&text[..end]) > shape.entropy).then_some(end)
    }
}
