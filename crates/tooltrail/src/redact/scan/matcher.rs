//! The words that lead to secrets and the forms of tokens, built once: what a scan is done with.

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

/// Finds candidates, and judges the form of a token.
#[derive(Debug)]
pub(in crate::redact) struct Matcher {
    pub(in crate::redact) prefilter: Prefilter,
    /// The patterns of the shapes, each compiled when it is first needed.
    forms: Vec<OnceLock<Option<Regex>>>,
}

impl Matcher {
    /// Collects the words of all shapes, names and leads.
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

    /// Whether a command that reads a password from its input stands in the text that was looked at last.
    pub(in crate::redact) fn asks(&self, candidates: &[Candidate]) -> bool {
        candidates.iter().any(|candidate| matches!(self.prefilter.open(*candidate).2, Trigger::Lead(Lead::Fed)))
    }

    /// Whether a word that names a secret stands in the text that was looked at last.
    pub(in crate::redact) fn is_named(&self, candidates: &[Candidate]) -> bool {
        let names = |candidate: &Candidate| {
            matches!(self.prefilter.open(*candidate).2, Trigger::Name | Trigger::World | Trigger::Lead(Lead::Code))
        };
        candidates.iter().any(names)
    }

    /// Where a form that begins with the text ends, if its token is random enough.
    pub(in crate::redact) fn matches(&self, form: usize, shape: &Shape, text: &str) -> Option<usize> {
        let form = self.forms.get(form)?.get_or_init(|| Regex::new(&shape.pattern()).ok()).as_ref()?;
        let end = form.find(text)?.end();
        (entropy(&text[..end]) > shape.entropy).then_some(end)
    }
}
