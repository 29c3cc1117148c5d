//! The texts of actors' ids. A thread that handles one message of an actor will handle more of them, and remembers how
//! the id is written: to format it takes a seventh of what the whole span does.

use std::cell::Cell;
use std::fmt::{self, Write};

use kameo::actor::ActorId;

/// An id that is written as kameo does.
pub(crate) struct Id(pub(crate) ActorId);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id) = self;
        let slot = (id.sequence_id() % SLOTS as u64) as usize;
        match RECENT.try_with(|recent| recent[slot].get()) {
            Ok(Some((known, text))) if known == *id => f.write_str(text.as_str()),
            recent => {
                let mut text = Text::default();
                // One that is too long, or may change, is written as ever.
                if write!(text, "{id}").is_err() || !text.is_final() {
                    return fmt::Display::fmt(id, f);
                }
                if recent.is_ok() {
                    RECENT.with(|recent| recent[slot].set(Some((*id, text))));
                }
                f.write_str(text.as_str())
            }
        }
    }
}

/// A short text.
#[derive(Clone, Copy, Default)]
struct Text {
    bytes: [u8; 23],
    len: u8,
}

impl Text {
    fn as_str(&self) -> &str {
        // Only whole texts are ever written, so the default is never taken.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Whether the id is written like that for good. One that says where the actor is says so from when the program joins
    /// others on.
    fn is_final(&self) -> bool {
        !self.as_str().contains('@')
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = usize::from(self.len) + text.len();
        let room = self.bytes.get_mut(usize::from(self.len)..end);
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = u8::try_from(end).map_err(|_| fmt::Error)?;
        Ok(())
    }
}

/// Actors whose ids a thread remembers.
const SLOTS: usize = 64;

thread_local! {
    static RECENT: [Cell<Option<(ActorId, Text)>>; SLOTS] = const { [const { Cell::new(None) }; SLOTS] };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kameo_does() {
        let sequence = [0, 7, 7 + SLOTS as u64, 7, u64::MAX];
        for id in sequence.map(ActorId::new) {
            assert_eq!(Id(id).to_string(), id.to_string());
            assert_eq!(Id(id).to_string(), id.to_string(), "now it is known");
        }
    }

    #[test]
    fn what_does_not_fit_or_may_change_is_not_kept() {
        let mut text = Text::default();
        assert!(write!(text, "#{}", "1".repeat(23)).is_err());
        let mut text = Text::default();
        assert!(write!(text, "#7@local").is_ok() && !text.is_final());
    }
}
