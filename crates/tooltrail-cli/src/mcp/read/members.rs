//! The members of a message that are read, and what is kept of each. All other members are skipped.

use crate::mcp::read::buffers::{HashedText, Kept, ResultText};
use crate::mcp::read::message::{Block, Id, Message, Parts};

/// The longest id, method, name or other short member that is kept, in bytes. Real ones have some dozen.
const SHORT_BYTES_MAX: usize = 4 * 1024;

/// The longest `_meta`, `clientInfo` or `serverInfo` that is kept, in bytes. Clients send some hundred.
const META_BYTES_MAX: usize = 64 * 1024;

/// A list or object of a message whose members are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The list of a batch.
    Batch,
    Message,
    Params,
    Answer,
    /// The list of content blocks.
    Content,
    Block,
    /// The resource in a content block.
    Resource,
    Error,
    /// The error in the answer about a task that failed.
    TaskError,
    /// The task in an answer of 2025-11-25.
    Task,
}

impl Place {
    /// Whether it is a list.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Batch | Self::Content)
    }
}

/// A member that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Id,
    Method,
    Name,
    Arguments,
    Meta,
    ClientInfo,
    RequestId,
    Reason,
    TaskId,
    Status,
    RequestState,
    Input,
    ResultType,
    IsError,
    ServerInfo,
    Structured,
    Code,
    ErrorMessage,
    Kind,
    Text,
    Mime,
    Data,
}

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Skip,
    /// The members of the list or object are read.
    Enter(Place),
    /// The JSON text is kept.
    Json(Part),
    /// The string is decoded and kept; a value of another type is skipped.
    Text(Part),
}

/// Returns what is done with the value of a member.
pub(super) fn slot(place: Place, key: &[u8]) -> Slot {
    use Place as P;
    match (place, key) {
        (P::Message, b"id") => Slot::Json(Part::Id),
        (P::Message, b"method") => Slot::Text(Part::Method),
        (P::Message, b"params") => Slot::Enter(P::Params),
        (P::Message | P::Answer, b"result") => Slot::Enter(P::Answer),
        (P::Message, b"error") => Slot::Enter(P::Error),
        (P::Params, b"name") => Slot::Text(Part::Name),
        (P::Params, b"arguments") => Slot::Json(Part::Arguments),
        (P::Params | P::Answer, b"_meta") => Slot::Json(Part::Meta),
        (P::Params, b"clientInfo") => Slot::Json(Part::ClientInfo),
        (P::Params, b"requestId") => Slot::Json(Part::RequestId),
        (P::Params, b"reason") => Slot::Text(Part::Reason),
        (P::Params, b"inputResponses") => Slot::Json(Part::Input),
        (P::Params | P::Answer | P::Task, b"taskId") => Slot::Text(Part::TaskId),
        (P::Params | P::Answer | P::Task, b"status") => Slot::Text(Part::Status),
        (P::Params | P::Answer, b"requestState") => Slot::Text(Part::RequestState),
        (P::Answer, b"content") => Slot::Enter(P::Content),
        (P::Answer, b"structuredContent") => Slot::Json(Part::Structured),
        (P::Answer, b"isError") => Slot::Json(Part::IsError),
        (P::Answer, b"resultType") => Slot::Text(Part::ResultType),
        (P::Answer, b"serverInfo") => Slot::Json(Part::ServerInfo),
        (P::Answer, b"task") => Slot::Enter(P::Task),
        (P::Block, b"type") => Slot::Text(Part::Kind),
        (P::Block | P::Resource, b"text") => Slot::Text(Part::Text),
        (P::Block | P::Resource, b"mimeType") => Slot::Text(Part::Mime),
        (P::Block, b"data") | (P::Resource, b"blob") => Slot::Text(Part::Data),
        (P::Block, b"resource") => Slot::Enter(P::Resource),
        (P::Answer, b"error") => Slot::Enter(P::TaskError),
        (P::Error, b"code") => Slot::Json(Part::Code),
        (P::Error | P::TaskError, b"message") => Slot::Text(Part::ErrorMessage),
        _ => Slot::Skip,
    }
}

/// The members that decide whether a message is a call, and of which tool. Readers disagree about one that comes twice,
/// and some take a name in capital letters for it.
const DECISIVE: [(Place, &[u8]); 3] =
    [(Place::Message, b"method"), (Place::Message, b"params"), (Place::Params, b"name")];

/// Whether a name differs from a known one at most in the case of its letters. Readers that ignore the case also take
/// the long s (U+017F) for an s; no known name has a letter k, for which there is another such character.
fn is_alike(known: &[u8], key: &[u8]) -> bool {
    if !key.contains(&LONG_S[0]) {
        return known.eq_ignore_ascii_case(key);
    }
    let text = String::from_utf8_lossy(key).replace('\u{17F}', "s");
    known.eq_ignore_ascii_case(text.as_bytes())
}

/// The long s in UTF-8.
const LONG_S: [u8; 2] = [0xC5, 0xBF];

/// The message that is being read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    message: Message,
    parts: Parts,
    /// One bit for each member of [`DECISIVE`] that was seen.
    seen: u8,
}

impl Draft {
    /// Takes note of the name of a member.
    pub(super) fn key(&mut self, place: Place, key: &[u8]) {
        if place == Place::Message && matches!(key, b"result" | b"error") {
            // An answer, whatever the value is.
            let answer = self.message.outcome.get_or_insert_default();
            if key == b"error" {
                answer.error.get_or_insert_default();
            }
        }
        for (n, (known_place, known)) in DECISIVE.iter().enumerate() {
            if *known_place == place && is_alike(known, key) {
                let is_odd = self.seen & 1 << n != 0 || *known != key;
                self.message.ambiguous_method |= is_odd && *known == b"method";
                self.message.ambiguous_tool |= is_odd && *known != b"method";
                self.seen |= 1 << n;
            }
        }
    }

    /// Begins a list or object.
    pub(super) fn enter(&mut self, place: Place) {
        match place {
            Place::Block => self.parts.block = Block::default(),
            Place::Answer | Place::Error => {
                self.message.outcome.get_or_insert_default();
            }
            Place::Content => {
                if let Some(answer) = &mut self.message.outcome {
                    answer.text = ResultText::default();
                }
            }
            _ => {}
        }
    }

    /// Ends a list or object.
    pub(super) fn leave(&mut self, place: Place) {
        match place {
            Place::Block => {
                if let Some(answer) = &mut self.message.outcome {
                    answer.add(&self.parts.block);
                }
            }
            Place::TaskError => {
                let message = self.parts.error_message.text();
                self.message.outcome.get_or_insert_default().task_error = Some(message);
            }
            Place::Error => {
                let code = self.parts.code.text().trim().parse::<f64>().unwrap_or_default() as i64;
                let message = self.parts.error_message.text();
                self.message.outcome.get_or_insert_default().error = Some((code, message));
            }
            _ => {}
        }
    }

    /// Begins a member that is kept. If it comes twice, the last one counts, as for most readers.
    pub(super) fn begin(&mut self, part: Part) {
        match part {
            Part::Arguments => self.message.params.arguments = Some(Default::default()),
            Part::RequestState => self.parts.request_state = HashedText::default(),
            Part::Data => self.parts.block.data_chars = Some(0),
            Part::Meta | Part::ServerInfo | Part::Structured | Part::ClientInfo => {
                if let Some((kept, _)) = self.message_part(part) {
                    *kept = Kept::default();
                }
            }
            Part::Input => {}
            _ => {
                if let Some(kept) = self.short(part) {
                    *kept = Kept::default();
                }
            }
        }
    }

    /// Adds bytes to a member that is kept.
    pub(super) fn push(&mut self, part: Part, bytes: &[u8]) {
        match part {
            Part::Arguments => {
                if let Some(arguments) = &mut self.message.params.arguments {
                    arguments.push(bytes);
                }
            }
            Part::RequestState => self.parts.request_state.push(bytes),
            Part::Data => *self.parts.block.data_chars.get_or_insert(0) += bytes.len() as u64,
            Part::Text => self.parts.block.text.push(bytes, ResultText::BLOCK_BYTES_MAX),
            Part::ErrorMessage => self.parts.error_message.push(bytes, ResultText::BLOCK_BYTES_MAX),
            Part::Meta | Part::ServerInfo | Part::Structured | Part::ClientInfo => {
                if let Some((kept, bytes_max)) = self.message_part(part) {
                    kept.push(bytes, bytes_max);
                }
            }
            Part::Input => {}
            _ => {
                if let Some(kept) = self.short(part) {
                    kept.push(bytes, SHORT_BYTES_MAX);
                }
            }
        }
    }

    /// Ends a member that is kept.
    pub(super) fn end(&mut self, part: Part, place: Place) {
        let (message, parts) = (&mut self.message, &self.parts);
        let answer = &mut message.outcome;
        let id = |kept: &Kept| kept.whole().as_deref().and_then(Id::parse);
        let text = |kept: &Kept| Some(kept.text());
        match (part, place) {
            (Part::Id, _) => message.id = id(&parts.id),
            (Part::Method, _) => message.method = text(&parts.method),
            (Part::Name, _) => message.params.name = text(&parts.name),
            (Part::RequestId, _) => message.params.request_id = id(&parts.request_id),
            (Part::Reason, _) => message.params.reason = text(&parts.reason),
            (Part::Input, _) => message.params.has_input = true,
            (Part::TaskId, Place::Params) => message.params.task_id = text(&parts.task_id),
            (Part::Status, Place::Params) => message.params.status = text(&parts.status),
            (Part::RequestState, Place::Params) => message.params.request_state = Some(parts.request_state.hash()),
            (Part::Text, Place::Block) => self.parts.block.has_text = true,
            (part, _) => {
                let Some(answer) = answer else { return };
                match part {
                    Part::TaskId => answer.task_id = text(&parts.task_id),
                    Part::Status => answer.status = text(&parts.status),
                    Part::RequestState => answer.request_state = Some(parts.request_state.hash()),
                    Part::ResultType => answer.result_type = text(&parts.result_type),
                    Part::IsError => answer.is_error = parts.flag.bytes.trim_ascii() == b"true",
                    _ => {}
                }
            }
        }
    }

    /// Returns the message as far as it was read.
    pub(super) fn seen(&self) -> &Message {
        &self.message
    }

    /// Returns the message that was read to its end.
    pub(super) fn take(&mut self) -> Message {
        let mut message = std::mem::take(self).message;
        if let Some(answer) =
            message.outcome.as_mut().filter(|answer| !answer.text.has_text && answer.structured.chars > 0)
        {
            answer.text.add_structured(&answer.structured);
        }
        message
    }

    /// Returns the buffer of a part that belongs to the message itself, and its bound in bytes.
    fn message_part(&mut self, part: Part) -> Option<(&mut Kept, usize)> {
        let message = &mut self.message;
        let answer = message.outcome.as_mut();
        match part {
            Part::ClientInfo => Some((&mut message.params.client_info, META_BYTES_MAX)),
            Part::Meta => Some((answer.map_or(&mut message.params.meta, |answer| &mut answer.meta), META_BYTES_MAX)),
            Part::ServerInfo => Some((&mut answer?.server_info, META_BYTES_MAX)),
            Part::Structured => Some((&mut answer?.structured, ResultText::BLOCK_BYTES_MAX)),
            _ => None,
        }
    }

    fn short(&mut self, part: Part) -> Option<&mut Kept> {
        let parts = &mut self.parts;
        Some(match part {
            Part::Id => &mut parts.id,
            Part::Method => &mut parts.method,
            Part::Name => &mut parts.name,
            Part::RequestId => &mut parts.request_id,
            Part::Reason => &mut parts.reason,
            Part::TaskId => &mut parts.task_id,
            Part::Status => &mut parts.status,
            Part::ResultType => &mut parts.result_type,
            Part::IsError => &mut parts.flag,
            Part::Code => &mut parts.code,
            Part::ErrorMessage => &mut parts.error_message,
            Part::Kind => &mut parts.block.kind,
            Part::Text => &mut parts.block.text,
            Part::Mime => &mut parts.block.mime,
            _ => return None,
        })
    }
}
