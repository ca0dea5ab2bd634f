//! Turns a received call into one without secrets. Only such a call can be encoded.

use crate::call::Via;
use crate::home::{folder_of, outside_folder, redacted_folder};
use crate::json::{DEPTH_MAX, Json};
use crate::limits::{ARG_CHARS_MAX, FIELD_CHARS_MAX};
use crate::redact::Redactor;
use crate::redact::value::found::FoundSecrets;
use crate::redact::value::tree::{Tree, WindowedText};
use crate::redact::value::window::{BoundedCall, Structure};

/// A call without secrets. Only [`Redactor::redact`] creates one, and only this type can be clipped and encoded.
#[derive(Clone, Debug)]
pub(crate) struct Redacted {
    fields: BoundedCall,
    folder: String,
    args: Tree,
    extra: Option<Tree>,
}

impl Redactor {
    /// Replaces every secret with a mark: in args, result or error text, names and all other fields.
    pub(crate) fn redact(&self, mut call: BoundedCall) -> Redacted {
        let mut found = FoundSecrets::default();
        let mut args = structure(&call.args);
        let mut extra = call.extra.as_ref().map(structure);
        if self.is_off() {
            // Redaction is off: neither texts nor names are searched.
        } else if call.via == Via::Tooltrail {
            // In the calls that Tooltrail itself records, the member `token` contains the name of a token.
            self.texts(&mut args, &mut found);
        } else {
            self.tree(&mut args, &mut found);
        }
        if let Some(extra) = extra.as_mut().filter(|_| !self.is_off()) {
            self.tree(extra, &mut found);
        }
        let id = call.user.seen.text.clone();
        self.seen(&mut call.user.seen, &mut found);
        let (redacted, long) = (&call.user.seen.text, call.user.long.as_ref());
        let folder = match long {
            _ if *redacted != id => {
                redacted_folder(redacted, &long.map_or_else(|| self.keyed_hash(&id), |long| long.1.clone()))
            }
            Some((folder, _)) => folder.clone(),
            None if call.via == Via::Tooltrail => folder_of(&id),
            None => outside_folder(&id),
        };
        for text in [&mut call.tool, &mut call.result] {
            self.seen(text, &mut found);
        }
        let fields = [
            &mut call.session,
            &mut call.call_id,
            &mut call.parent,
            &mut call.agent,
            &mut call.model,
            &mut call.client,
            &mut call.server,
            &mut call.claimed_user,
            &mut call.rule,
        ];
        let mut fields: Vec<&mut WindowedText> = fields.into_iter().flatten().collect();
        fields.iter_mut().for_each(|text| self.seen(text, &mut found));
        // A secret that was found in one string is hidden in all others.
        if let Some(sweeper) = found.sweeper() {
            sweeper.tree(&mut args);
            extra.iter_mut().for_each(|extra| sweeper.tree(extra));
            fields.into_iter().for_each(|text| sweeper.seen(text));
            sweeper.seen(&mut call.tool);
            sweeper.seen(&mut call.result);
        }
        Redacted { fields: call, folder, args, extra }
    }

    /// Redacts each string by its content alone, without regard to the name of its member.
    fn texts(&self, tree: &mut Tree, found: &mut FoundSecrets) {
        match tree {
            Tree::String(seen) | Tree::Deep(seen) => self.seen(seen, found),
            Tree::Array(elements) => elements.iter_mut().for_each(|element| self.texts(element, found)),
            Tree::Object(members) => members.iter_mut().for_each(|(_, value)| self.texts(value, found)),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
        }
    }
}

impl Redacted {
    /// Returns the fields other than args and extra.
    pub(crate) fn fields(&self) -> &BoundedCall {
        &self.fields
    }

    /// Returns the folder of the user.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// Returns the args, always an object.
    pub(crate) fn args(&self) -> &Tree {
        &self.args
    }

    /// Returns the other received members.
    pub(crate) fn extra(&self) -> Option<&Tree> {
        self.extra.as_ref()
    }
}

/// Reads args or extra into an object. A text that is not an object becomes a member: `value` for other JSON, `raw` for
/// invalid JSON, `clipped` for a text that was cut.
fn structure(structure: &Structure) -> Tree {
    let text = &structure.text;
    let member = |name: &str, value| Tree::Object(vec![(WindowedText::copy(name, FIELD_CHARS_MAX), value)]);
    let whole = |name: &str, cut: bool| {
        let mut seen = WindowedText::copy(text, ARG_CHARS_MAX);
        (seen.chars, seen.cut) = (structure.chars(), seen.cut || cut);
        member(name, Tree::String(seen))
    };
    if structure.cut {
        return whole("clipped", true);
    }
    if text.trim().is_empty() {
        return Tree::Object(Vec::new());
    }
    let object = text.trim_start().starts_with('{');
    match Json::read(text, if object { DEPTH_MAX } else { DEPTH_MAX - 1 }) {
        Err(_) => whole("raw", false),
        Ok(Json::Null) => Tree::Object(Vec::new()),
        Ok(value) => {
            let tree = Tree::of(value, FIELD_CHARS_MAX, ARG_CHARS_MAX);
            if object { tree } else { member("value", tree) }
        }
    }
}
