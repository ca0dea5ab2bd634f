//! A rollup of a day file as bytes, in five parts, so that an answer reads only what it needs.

use std::collections::BTreeMap;

use super::bytes::{Reader, Writer};
use super::cells::{Cell, CellKey, Cells, Names};
use super::day_file::FileRollup;
use super::sessions::SessionRow;
use super::sightings::{Seen, Sighting};
use crate::call::{Status, Via};
use crate::clock::Timestamp;
use crate::query::FirstKind;

/// The parts of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The names, the calls by day, and the first uses.
    Days,
    /// The calls by hour.
    Hours,
    /// The sightings near midnight, and the offsets that do not count.
    Sightings,
    /// The sessions. The names are those of the days.
    Sessions,
    /// The keys of all ids.
    Keys,
}

impl Part {
    pub(super) const COUNT: usize = 5;

    /// All parts, in the order in which they must be read.
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Days, Self::Hours, Self::Sightings, Self::Sessions, Self::Keys];
}

/// Returns the parts of a rollup as bytes.
pub(super) fn encode(rollup: &FileRollup) -> [Vec<u8>; Part::COUNT] {
    let (mut days, mut hours, mut sightings, mut keys) =
        (Writer::default(), Writer::default(), Writer::default(), Writer::default());
    write_names(&mut days, &rollup.cells.names);
    cells(&mut days, &rollup.cells.by_day());
    days.number(rollup.firsts.len() as u64);
    for ((user, kind, name), (ms, offset)) in &rollup.firsts {
        days.all([u64::from(*user), *kind as u64, u64::from(*name), ms.cast_unsigned(), *offset]);
    }
    cells(&mut hours, &rollup.cells);
    hours.number(rollup.hours.len() as u64);
    for (hour, (from, to)) in &rollup.hours {
        hours.all([u64::from(*hour), *from, *to]);
    }
    sightings.number(rollup.edges.len() as u64);
    rollup.edges.iter().for_each(|edge| seen(&mut sightings, edge));
    sightings.number(rollup.absorbed.len() as u64);
    let mut before = 0;
    for offset in &rollup.absorbed {
        sightings.number(offset - before);
        before = *offset;
    }
    let mut sessions = Writer::default();
    sessions.number(rollup.sessions.len() as u64);
    for ((user, name), row) in &rollup.sessions {
        sessions.number(u64::from(*user));
        sessions.text(name);
        sessions.option(row.client.as_deref(), Writer::text);
        let times = [row.begin_ms.cast_unsigned(), row.end_ms.cast_unsigned()];
        sessions.all(times);
        sessions.all([row.calls, row.errors, row.denied]);
    }
    keys.number(rollup.keys.len() as u64);
    for (key, offset) in &rollup.keys {
        keys.0.extend(key.to_le_bytes());
        keys.number(*offset);
    }
    [days.0, hours.0, sightings.0, sessions.0, keys.0]
}

/// Reads the names, the calls by day and the first uses; `None` if the bytes are something else.
pub(super) fn decode_days(bytes: &[u8], rollup: &mut FileRollup) -> Option<Cells> {
    let mut reader = Reader(bytes);
    rollup.cells.names = read_names(&mut reader)?;
    let days = read_cells(&mut reader, &rollup.cells.names)?;
    for _ in 0..reader.count()? {
        let (user, kind, name) = (reader.small()?, reader.small()?, reader.small()?);
        let kind = *FirstKind::ALL.get(usize::try_from(kind).ok()?)?;
        rollup.firsts.insert((user, kind, name), (reader.number()?.cast_signed(), reader.number()?));
    }
    reader.0.is_empty().then_some(days)
}

/// Reads the calls by hour. The days must be read before, because they have the names.
pub(super) fn decode_hours(bytes: &[u8], rollup: &mut FileRollup) -> Option<()> {
    let mut reader = Reader(bytes);
    rollup.cells = read_cells(&mut reader, &rollup.cells.names)?;
    for _ in 0..reader.count()? {
        rollup.hours.insert(reader.small()?, (reader.number()?, reader.number()?));
    }
    reader.0.is_empty().then_some(())
}

/// Reads the sightings near midnight, and the offsets that do not count.
pub(super) fn decode_sightings(bytes: &[u8], rollup: &mut FileRollup) -> Option<()> {
    let mut reader = Reader(bytes);
    rollup.edges = (0..reader.count()?).map(|_| read_seen(&mut reader)).collect::<Option<_>>()?;
    let mut before = 0_u64;
    for _ in 0..reader.count()? {
        before = before.checked_add(reader.number()?)?;
        rollup.absorbed.push(before);
    }
    reader.0.is_empty().then_some(())
}

/// Reads the sessions.
pub(super) fn decode_sessions(bytes: &[u8], rollup: &mut FileRollup) -> Option<()> {
    let mut reader = Reader(bytes);
    for _ in 0..reader.count()? {
        let key = (reader.small()?, reader.text()?);
        let client = reader.option(Reader::text)?;
        let (begin_ms, end_ms) = (reader.number()?.cast_signed(), reader.number()?.cast_signed());
        let (calls, errors, denied) = (reader.number()?, reader.number()?, reader.number()?);
        rollup.sessions.insert(key, SessionRow { client, begin_ms, end_ms, calls, errors, denied });
    }
    reader.0.is_empty().then_some(())
}

/// Reads the keys of all ids.
pub(super) fn decode_keys(bytes: &[u8], rollup: &mut FileRollup) -> Option<()> {
    let mut reader = Reader(bytes);
    for _ in 0..reader.count()? {
        let key = u64::from_le_bytes(reader.bytes(8)?.try_into().ok()?);
        rollup.keys.push((key, reader.number()?));
    }
    (reader.0.is_empty() && rollup.keys.is_sorted()).then_some(())
}

pub(super) fn write_names(writer: &mut Writer, names: &Names) {
    writer.number(names.list().len() as u64);
    names.list().iter().for_each(|name| writer.text(name));
}

pub(super) fn read_names(reader: &mut Reader<'_>) -> Option<Names> {
    let mut names = Names::default();
    for number in 0..reader.count()? {
        if names.number(&reader.text()?) as usize != number {
            return None;
        }
    }
    Some(names)
}

pub(super) fn cells(writer: &mut Writer, cells: &Cells) {
    writer.number(cells.cells.len() as u64);
    for (key, cell) in &cells.cells {
        writer.all([u64::from(key.time), u64::from(key.user), u64::from(key.tool)]);
        writer.0.push(number_of(Status::ALL, &key.status));
        writer.number(cell.calls);
        writer.numbers(&cell.duration_ms);
        writer.numbers(&cell.result_chars);
    }
}

pub(super) fn read_cells(reader: &mut Reader<'_>, names: &Names) -> Option<Cells> {
    let mut cells = BTreeMap::new();
    for _ in 0..reader.count()? {
        let (time, user, tool) = (reader.small()?, reader.small()?, reader.small()?);
        let status = *Status::ALL.get(usize::from(reader.byte()?))?;
        if names.list().len() <= user.max(tool) as usize {
            return None;
        }
        let cell = Cell { calls: reader.number()?, duration_ms: reader.numbers()?, result_chars: reader.numbers()? };
        cells.insert(CellKey { time, user, tool, status }, cell);
    }
    Some(Cells { names: names.clone(), cells })
}

pub(super) fn seen(writer: &mut Writer, seen: &Seen) {
    let Sighting { via, user, tool, status, duration_ms, result_chars, session, ended_ms, call_id, .. } =
        &seen.sighting;
    writer.number(seen.offset);
    writer.option(*via, |writer, via| writer.0.push(number_of(Via::ALL, &via)));
    writer.text(user);
    writer.text(tool);
    writer.0.push(number_of(Status::ALL, status));
    writer.option(*duration_ms, Writer::float);
    writer.option(*result_chars, Writer::float);
    writer.option(session.as_deref(), Writer::text);
    writer.number(ended_ms.cast_unsigned());
    writer.option(call_id.as_deref(), Writer::text);
    writer.0.push(u8::from(seen.sighting.is_interrupted));
}

pub(super) fn read_seen(reader: &mut Reader<'_>) -> Option<Seen> {
    let offset = reader.number()?;
    let via = reader.option(|reader| Via::ALL.get(usize::from(reader.byte()?)).copied())?;
    let (user, tool) = (reader.text()?, reader.text()?);
    let status = *Status::ALL.get(usize::from(reader.byte()?))?;
    let (duration_ms, result_chars) = (reader.option(Reader::float)?, reader.option(Reader::float)?);
    let session = reader.option(Reader::text)?;
    let ended = Timestamp::from_millis(reader.number()?.cast_signed());
    let (call_id, is_interrupted) = (reader.option(Reader::text)?, reader.byte()? == 1);
    let sighting = Sighting {
        via,
        user,
        tool,
        status,
        day: ended.date(),
        duration_ms,
        result_chars,
        session,
        client: None,
        ended_ms: ended.as_millis(),
        call_id,
        is_interrupted,
    };
    Some(Seen { sighting, offset, is_asked: true })
}

/// Returns the place of a value in the list of all.
fn number_of<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter().position(|known| known == value).unwrap_or(0) as u8
}
