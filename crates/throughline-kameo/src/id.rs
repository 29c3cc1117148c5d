//! The texts of actors' ids. A thread that handles one message of an actor will handle more of them, and remembers how
//! the id is written: to format it takes a seventh of what the whole span does.

use std::cell::Cell;
use std::fmt;

use kameo::actor::ActorId;

/// An id that is written as kameo does.
pub(crate) struct Id(pub(crate) ActorId);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id) = self;
        let slot = (id.sequence_id() % SLOTS as u64) as usize;
        // Taken out and put back, since the formatter may be anybody's.
        let recent = RECENT.try_with(|recent| recent[slot].take());
        let text = match recent {
            Ok(Some((known, text))) if known == *id => text,
            _ => id.to_string().into_boxed_str(),
        };
        let written = f.write_str(&text);
        if is_final(&text) {
            // A thread that ends remembers nothing more.
            let _ = RECENT.try_with(|recent| recent[slot].set(Some((*id, text))));
        }
        written
    }
}

/// Whether the id is written like that for good. One that says where the actor is says so from when the program joins others
/// on.
fn is_final(text: &str) -> bool {
    !text.contains('@')
}

/// Actors whose ids a thread remembers.
const SLOTS: usize = 64;

/// An id, and how it is written.
type Written = (ActorId, Box<str>);

thread_local! {
    static RECENT: [Cell<Option<Written>>; SLOTS] = const { [const { Cell::new(None) }; SLOTS] };
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
    fn what_may_change_is_not_kept() {
        assert!(is_final("#7"));
        assert!(!is_final("#7@local"));
    }
}
