//! A bounded queue of batches in files: appended at one end, taken from the other.
//!
//! Owns which segments there are, where reading stands, the bound and the counts.
//! It blocks on its files and knows neither exporters nor time.
//!
//! 1. Only the last segment is written to, and only until reading reaches it: what
//!    is being read does not change but for its marks.
//! 2. An append either leaves a whole record, or nothing that is ever read: a failed
//!    one is cut off again, and if not even that works, the segment ends there.
//! 3. What is written counts towards the bound before it is written. Room is made by
//!    removing the oldest segment; if that cannot be removed, the append fails.
//! 4. Whatever the files hold is skipped or read. Names that are not ours are not
//!    touched.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::format::{
    FILE_HEAD, MARK_AT, Piece, RECORD_HEAD, Record, SETTLED, read_piece, record_head,
};
use super::segment::Segment;
use super::stats::{SpoolHandle, SpoolStats};
use super::storage::Storage;
use crate::batch::MAX_REQUEST_BYTES;
use crate::exporter::Batch;

/// The reason of a drop: there was no room for something newer.
const FULL: &str = "spool_full";
/// The reason of a drop: the record is damaged.
const CORRUPT: &str = "spool_corrupt";
/// The reason of a drop: the file could not be read, again and again.
const UNREADABLE: &str = "spool_unreadable";

/// Processes that end young leave small files, and the bytes alone would not bound
/// their number.
const MAX_SEGMENTS: usize = 4096;

/// How often a segment that the disk does not give back is tried.
const READ_ATTEMPTS: u32 = 3;

/// The largest file that is read: more than any of ours, and no more than that.
const MAX_READ_BYTES: u64 = (MAX_REQUEST_BYTES + (1 << 20)) as u64;

/// The sizes of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of all files together.
    pub(super) bytes: u64,
    /// At which a segment is full. A larger record has one to itself.
    pub(super) segment_bytes: u64,
    /// How much may be accepted that is not known to be on the disk.
    pub(super) unsynced_bytes: u64,
}

/// What became of a batch that was taken out.
#[derive(Debug)]
pub(super) enum Fate {
    /// The destination accepted it, but for so many spans.
    Delivered { rejected: u64 },
    /// It never will, for this type of error.
    Failed(String),
}

#[derive(Debug)]
pub(super) struct Log<S> {
    storage: S,
    bounds: Bounds,
    /// The oldest first.
    segments: VecDeque<Segment>,
    /// The content of the first segment, once reading has begun.
    loaded: Option<Loaded>,
    in_flight: Option<InFlight>,
    /// Files that are done with and could not be removed, with their sizes.
    leftovers: Vec<(String, u64)>,
    next_sequence: u64,
    unsynced: u64,
    salts: fastrand::Rng,
    counts: SpoolHandle,
}

#[derive(Debug)]
struct Loaded {
    bytes: Bytes,
    /// Where the next piece begins.
    at: usize,
}

/// The record that was taken out and is not settled.
#[derive(Debug)]
struct InFlight {
    offset: u64,
    spans: u64,
    earlier: bool,
    /// Whether its segment made room for something newer meanwhile.
    evicted: bool,
}

impl<S: Storage> Log<S> {
    /// Takes over whatever is in the storage.
    ///
    /// # Errors
    ///
    /// The files cannot be listed.
    pub(super) fn open(mut storage: S, bounds: Bounds, counts: SpoolHandle) -> io::Result<Self> {
        let mut found: Vec<(u64, Segment)> = storage
            .list()?
            .into_iter()
            .filter_map(|(name, bytes)| Segment::left_behind(name, bytes))
            .collect();
        found.sort_by(|(a, left), (b, right)| (a, &left.name).cmp(&(b, &right.name)));
        let last = found.last().map_or(0, |(sequence, _)| *sequence);
        let mut log = Self {
            storage,
            bounds,
            segments: found.into_iter().map(|(_, segment)| segment).collect(),
            loaded: None,
            in_flight: None,
            leftovers: Vec::new(),
            // No process of ours counts to the end. After a foreign file with that name, a
            // later process may take segments in another order, but none is lost.
            next_sequence: last.saturating_add(1),
            unsynced: 0,
            salts: fastrand::Rng::new(),
            counts,
        };
        // The bound may be lower than it was for the process before. What cannot be
        // removed does not keep this one from starting: it leaves no room, that is all.
        let _ = log.make_room(0);
        // The process before may have left this one in the system's hands. It was given
        // the right to, but not by each process anew.
        if let Some(last) = log.segments.back() {
            let synced = log.storage.sync(&last.name);
            let listed = synced.and_then(|()| log.storage.sync_directory());
            let _ = log.noted("sync", listed);
        }
        log.note_sizes();
        Ok(log)
    }

    /// Writes a batch behind all others. It is there when this returns, but counts as
    /// accepted only when the caller says so.
    ///
    /// # Errors
    ///
    /// There is no room, or the storage failed. Then it is as if nothing had been
    /// asked, except that older segments may have made room.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        let result = self.try_append(batch);
        self.note_sizes();
        result
    }

    /// Takes back what the last call has appended.
    pub(super) fn retract(&mut self, batch: &Batch) {
        let record = (RECORD_HEAD + batch.request().len()) as u64;
        if let Some(segment) = self.segments.back_mut() {
            segment.waiting = segment.waiting.saturating_sub(batch.spans());
            segment.readable = segment.readable.saturating_sub(record);
        }
        self.cut_back();
        self.note_sizes();
    }

    /// The oldest batch; the same one until it is settled.
    ///
    /// # Errors
    ///
    /// Its file could not be read; it may be the next time.
    pub(super) fn head(&mut self) -> io::Result<Option<Batch>> {
        let result = self.next_head();
        self.note_sizes();
        result
    }

    /// Says what became of the batch that [`head`](Self::head) gave, or of so many of
    /// its spans. It is done with when the fate of all is known.
    pub(super) fn settle(&mut self, spans: u64, fate: Fate) {
        let Some(flight) = &mut self.in_flight else {
            return;
        };
        let spans = spans.min(flight.spans);
        flight.spans -= spans;
        {
            let mut counts = self.counts.lock();
            let side = counts.side(flight.earlier);
            match fate {
                Fate::Delivered { rejected } => {
                    let rejected = rejected.min(spans);
                    side.delivered += spans - rejected;
                    side.failed.add("rejected", rejected);
                }
                Fate::Failed(error_type) => side.failed.add(error_type, spans),
            }
        }
        let (done, evicted) = (flight.spans == 0, flight.evicted);
        if let Some(front) = self.segments.front_mut().filter(|_| !evicted) {
            front.waiting = front.waiting.saturating_sub(spans);
        }
        if done {
            self.finish_head();
        }
    }

    fn finish_head(&mut self) {
        let Some(flight) = self.in_flight.take() else {
            return;
        };
        if let Some(front) = self.segments.front_mut().filter(|_| !flight.evicted) {
            let mark_at = flight.offset + MARK_AT;
            // Without the mark, the worst is that a later process delivers it again.
            let marked = self.storage.write(&front.name, mark_at, &[&SETTLED]);
            let _ = self.noted("mark", marked);
            let end = |loaded: &Loaded| loaded.at >= loaded.bytes.len();
            if self.loaded.as_ref().is_some_and(end) {
                self.finish_front(CORRUPT);
            }
        }
        self.note_sizes();
    }

    /// Says that the batch that [`head`](Self::head) gave has to be tried again.
    pub(super) fn put_back(&mut self) {
        let Some(flight) = self.in_flight.take() else {
            return;
        };
        if flight.evicted {
            let mut counts = self.counts.lock();
            counts.side(flight.earlier).dropped.add(FULL, flight.spans);
        } else if let Some(loaded) = &mut self.loaded {
            loaded.at = usize::try_from(flight.offset).unwrap_or(loaded.at);
        }
    }

    /// Whether no batch waits or is in flight, as far as is known without reading.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.in_flight.is_none()
    }

    /// Makes sure that all that was accepted is on the disk.
    pub(super) fn sync(&mut self) {
        if self.unsynced > 0 {
            // It is counted, and what is in the system's hands may be written yet.
            let _ = self.sync_last();
        }
    }

    fn try_append(&mut self, batch: &Batch) -> io::Result<()> {
        let request = batch.request();
        let record = (RECORD_HEAD + request.len()) as u64;
        let spans = u32::try_from(batch.spans());
        let (Ok(spans), Ok(_)) = (spans, u32::try_from(request.len())) else {
            return Err(too_large());
        };
        let alone = record + FILE_HEAD.len() as u64;
        if alone > self.bounds.bytes {
            return Err(too_large());
        }
        let full = self.bounds.segment_bytes;
        let fits = |segment: &Segment| segment.open && segment.bytes + record <= full;
        if self.segments.back().is_some_and(fits) {
            self.make_room(record)?;
        }
        // Looked at again, because room may have been made of this very segment.
        if !self.segments.back().is_some_and(fits) {
            self.seal();
            self.make_room(alone)?;
            self.create_segment()?;
        }
        let Some(segment) = self.segments.back_mut() else {
            return Err(too_large());
        };
        let start = segment.readable;
        let (file_head, offset) = match start {
            0 => (&FILE_HEAD[..], FILE_HEAD.len() as u64),
            _ => (&[][..], start),
        };
        let head = record_head(segment.salt, offset, request, spans);
        // Whatever becomes of the write, it occupies no more than this.
        segment.bytes = offset + record;
        let parts = [file_head, head.as_slice(), request.as_ref()];
        let written = self.storage.write(&segment.name, start, &parts);
        let kept = self.noted("write", written).and_then(|()| {
            self.unsynced += record;
            if self.unsynced <= self.bounds.unsynced_bytes {
                return Ok(());
            }
            self.sync_last()
        });
        match (kept, self.segments.back_mut()) {
            (Ok(()), Some(segment)) => {
                segment.readable = segment.bytes;
                segment.waiting += batch.spans();
                Ok(())
            }
            (kept, _) => {
                self.cut_back();
                kept
            }
        }
    }

    fn create_segment(&mut self) -> io::Result<()> {
        let salt = self.salts.u64(..);
        let segment = Segment::new(self.next_sequence, salt);
        self.next_sequence = self.next_sequence.saturating_add(1);
        let created = self.storage.create(&segment.name);
        self.noted("create", created)?;
        self.segments.push_back(segment);
        Ok(())
    }

    /// Brings the last segment to the disk, and its name if it is new.
    fn sync_last(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.back_mut() else {
            return Ok(());
        };
        let mut synced = self.storage.sync(&segment.name);
        if !segment.listed {
            synced = synced.and_then(|()| self.storage.sync_directory());
            segment.listed = synced.is_ok();
        }
        if synced.is_err() {
            // The system may have forgotten what it could not write, and would say
            // nothing about it the next time: nothing more is put behind it.
            segment.open = false;
        }
        self.unsynced = 0;
        self.noted("sync", synced)
    }

    /// Removes what lies behind the last whole record of the last segment.
    fn cut_back(&mut self) {
        let Some(segment) = self.segments.back_mut() else {
            return;
        };
        if segment.readable <= FILE_HEAD.len() as u64 {
            if let Some(segment) = self.segments.pop_back() {
                self.discard(segment);
            }
            return;
        }
        let (name, readable) = (segment.name.clone(), segment.readable);
        let cut = self.storage.truncate(&name, readable);
        let cut = self.noted("truncate", cut);
        if let Some(segment) = self.segments.back_mut() {
            match cut {
                Ok(()) => segment.bytes = readable,
                // The rest stays on the disk, behind what is ever read of it here.
                Err(_) => segment.open = false,
            }
        }
    }

    /// Ends writing to the last segment.
    fn seal(&mut self) {
        if self.segments.back().is_some_and(|segment| segment.open) {
            self.sync();
            if let Some(segment) = self.segments.back_mut() {
                segment.open = false;
            }
        }
    }

    fn next_head(&mut self) -> io::Result<Option<Batch>> {
        self.put_back();
        self.remove_leftovers();
        loop {
            let Some(front) = self.segments.front_mut() else {
                return Ok(None);
            };
            if front.open {
                self.seal();
                continue;
            }
            let salt = front.salt;
            let Some(loaded) = &mut self.loaded else {
                self.load_front()?;
                continue;
            };
            let Some((piece, next)) = read_piece(&loaded.bytes, salt, loaded.at) else {
                self.finish_front(CORRUPT);
                continue;
            };
            loaded.at = next;
            match piece {
                Piece::Record(Record { settled: true, .. }) => {}
                Piece::Record(record) => {
                    self.in_flight = Some(InFlight {
                        offset: record.offset,
                        spans: record.spans,
                        earlier: front.earlier,
                        evicted: false,
                    });
                    let request = loaded.bytes.slice(record.request);
                    return Ok(Some(Batch::new(request, record.spans)));
                }
                Piece::Damaged { bytes, .. } => {
                    let mut counts = self.counts.lock();
                    counts.corrupt_records += 1;
                    counts.corrupt_bytes += bytes as u64;
                }
            }
        }
    }

    /// Reads the first segment. After too many failures it is given up.
    fn load_front(&mut self) -> io::Result<()> {
        let Some(front) = self.segments.front_mut() else {
            return Ok(());
        };
        let at_most = front.readable.min(MAX_READ_BYTES);
        match self.storage.read(&front.name, at_most) {
            Ok(bytes) => {
                front.survey(&bytes, &self.counts);
                let bytes = Bytes::from(bytes);
                self.loaded = Some(Loaded { bytes, at: 0 });
                Ok(())
            }
            Err(error) => {
                front.read_failures += u32::from(!is_shortage(&error));
                let give_up = front.read_failures >= READ_ATTEMPTS;
                let failed = self.noted("read", Err(error));
                if give_up {
                    self.finish_front(UNREADABLE);
                    return Ok(());
                }
                failed
            }
        }
    }

    /// Is done with the first segment. What waits in it was not found.
    fn finish_front(&mut self, reason: &'static str) {
        self.loaded = None;
        if let Some(segment) = self.segments.pop_front() {
            let mut counts = self.counts.lock();
            let side = counts.side(segment.earlier);
            side.dropped.add(reason, segment.waiting);
            counts.unread(&segment);
            drop(counts);
            self.discard(segment);
        }
    }

    /// Removes old segments until this many bytes, and one file, can be added.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        self.remove_leftovers();
        while self.file_bytes() + bytes > self.bounds.bytes || self.segments.len() >= MAX_SEGMENTS {
            self.evict_front()?;
        }
        Ok(())
    }

    /// Gives up the oldest segment, unless it cannot be removed.
    fn evict_front(&mut self) -> io::Result<()> {
        let Some(front) = self.segments.front_mut() else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        if !front.surveyed {
            let at_most = front.readable.min(MAX_READ_BYTES);
            // What cannot be read cannot be counted.
            if let Ok(bytes) = self.storage.read(&front.name, at_most) {
                front.survey(&bytes, &self.counts);
            }
        }
        let name = front.name.clone();
        self.erase(&name)?;
        let Some(front) = self.segments.pop_front() else {
            return Ok(());
        };
        self.loaded = None;
        let mut spans = front.waiting;
        if let Some(flight) = &mut self.in_flight
            && !flight.evicted
        {
            // Its fate is still open.
            flight.evicted = true;
            spans = spans.saturating_sub(flight.spans);
        }
        if front.open {
            self.unsynced = 0;
        }
        let mut counts = self.counts.lock();
        counts.side(front.earlier).dropped.add(FULL, spans);
        counts.unread(&front);
        Ok(())
    }

    /// Removes a segment that is done with, now or later.
    fn discard(&mut self, segment: Segment) {
        if segment.open {
            self.unsynced = 0;
        }
        if self.erase(&segment.name).is_err() {
            self.leftovers.push((segment.name, segment.bytes));
        }
    }

    /// Removes a file, or at least its content.
    fn erase(&mut self, name: &str) -> io::Result<()> {
        let removed = self.storage.remove(name);
        if self.noted("remove", removed).is_ok() {
            return Ok(());
        }
        let cut = self.storage.truncate(name, 0);
        self.noted("truncate", cut)?;
        self.leftovers.push((name.to_owned(), 0));
        Ok(())
    }

    fn remove_leftovers(&mut self) {
        let storage = &mut self.storage;
        self.leftovers
            .retain(|(name, _)| storage.remove(name).is_err());
    }

    /// The size of all files, at most.
    fn file_bytes(&self) -> u64 {
        let segments = self.segments.iter().map(|segment| segment.bytes);
        let leftovers = self.leftovers.iter().map(|(_, bytes)| *bytes);
        segments.chain(leftovers).fold(0, u64::saturating_add)
    }

    fn note_sizes(&self) {
        let earlier = self.segments.iter().filter(|segment| segment.earlier);
        let earlier_bytes = earlier.fold(0_u64, |sum, segment| sum.saturating_add(segment.bytes));
        let mut counts = self.counts.lock();
        counts.earlier_bytes = earlier_bytes;
        counts.file_bytes = self.file_bytes();
        counts.files = (self.segments.len() + self.leftovers.len()) as u64;
    }

    /// Counts an operation that failed.
    fn noted<T>(&self, operation: &'static str, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.counts.lock().failures.add(operation, 1);
        }
        result
    }
}

impl SpoolStats {
    /// Spans that were lost in the spool, whoever they belonged to.
    pub(super) fn lost(&self) -> u64 {
        self.own.dropped.total() + self.earlier.dropped.total()
    }

    /// Notes that a segment is given up. Nobody knows what was in it if it never could
    /// be read.
    fn unread(&mut self, segment: &Segment) {
        if !segment.surveyed {
            self.corrupt_records += 1;
            self.corrupt_bytes += segment.bytes;
        }
    }
}

/// Whether the process is short of memory or descriptors, which says nothing about
/// the file.
fn is_shortage(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let number = error.raw_os_error();
    error.kind() == io::ErrorKind::OutOfMemory
        || (cfg!(unix) && matches!(number, Some(ENOMEM | ENFILE | EMFILE)))
}

fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        "the batch is larger than the whole spool may be",
    )
}
