//! What the traces must look like: without attributes, siblings ordered by name.

use throughline::testing::{Trace, TreeOptions};

use crate::people::{GONE, MOVED};

/// A trace as it is compared.
pub(crate) fn of(trace: &Trace) -> String {
    trace.tree_with(&TreeOptions::new().hide("*").sorted_by_name())
}

/// The trace of a request for a goal of this owner.
pub(crate) const fn of_request(owner: &str) -> &'static str {
    if owner.is_empty() { REFUSED } else { CREATED }
}

/// The traces that follow from it, but for the batch, ordered as text.
pub(crate) fn of_followers(owner: &str) -> Vec<&'static str> {
    let mut pictures = match owner {
        "" => vec![],
        MOVED => vec![SUMMARY, FEED_FAILED, FEED_AGAIN],
        GONE => vec![SUMMARY, FEED, LAST_ATTEMPT, DEAD_LETTER],
        _ => vec![SUMMARY, FEED],
    };
    pictures.sort_unstable();
    pictures
}

/// The trace of a batch of goals of these owners.
pub(crate) fn of_batch(owners: &[&str]) -> String {
    let mut picture = "process goals [consumer]".to_owned();
    for _ in owners {
        picture.push_str("\n│  → send goals (another trace)");
    }
    picture.push_str("\n├─ commit goals [client]");
    let gone = owners.iter().filter(|owner| **owner == GONE).count();
    let deliveries = [(owners.len() - gone, DELIVERED), (gone, BOUNCED)];
    let deliveries = deliveries
        .iter()
        .flat_map(|(count, lines)| std::iter::repeat_n(lines, *count));
    for (number, lines) in deliveries.enumerate() {
        let [corner, bar] = if number + 1 < owners.len() {
            ["├─ ", "│  "]
        } else {
            ["└─ ", "   "]
        };
        let (span, events) = lines;
        picture.extend(["\n", corner, span]);
        for event in *events {
            picture.extend(["\n", bar, "   ", event]);
        }
    }
    picture
}

/// A span and its events.
const DELIVERED: (&str, &[&str]) = ("deliver [client]", &["• delivered"]);
const BOUNCED: (&str, &[&str]) = (
    "deliver [client] error: there is no such mailbox",
    &["• bounced", "• exception"],
);

/// A goal that is created.
const CREATED: &str = "\
POST /goals [server] (remote parent)
│  • answered
└─ create_goal
   │  • a new goal
   │  • created
   ├─ GoalBook Add
   │  │  • from the mailbox
   │  │  • stored
   │  └─ execute goal
   │     ├─ INSERT events [client]
   │     │  │  • inserted
   │     │  └─ commit
   │     │        • committed
   │     └─ SELECT events [client]
   ├─ estimate
   │  │  • the median
   │  ├─ ask adviser
   │  │     • thinking
   │  │     • decided
   │  ├─ ask adviser
   │  │     • thinking
   │  │     • decided
   │  └─ ask adviser
   │        • thinking
   │        • decided
   └─ validate
         • fine";

/// A goal that is refused.
const REFUSED: &str = "\
POST /goals [server] (remote parent)
│  • answered
└─ create_goal error: a goal needs an owner
   │  • a new goal
   │  • exception
   └─ validate error: a goal needs an owner
         • nobody wants this
         • exception";

const SUMMARY: &str = "\
project goal_summary GoalAdded
   → execute goal (another trace)";

const FEED: &str = "\
project goal_feed GoalAdded
│  • in the feed
│  → execute goal (another trace)
├─ INSERT offsets [client]
├─ find address
│     • found
└─ send goals [producer]";

/// The first attempt at an event that is tried again.
const FEED_FAILED: &str = "\
project goal_feed GoalAdded error: the new address is not known yet
│  • exception
│  → execute goal (another trace)
└─ find address error: the new address is not known yet
      • no address yet
      • exception";

/// The second.
const FEED_AGAIN: &str = "\
project goal_feed GoalAdded
│  • in the feed
│  → execute goal (another trace)
│  → project goal_feed GoalAdded (another trace)
├─ INSERT offsets [client]
├─ find address
│     • found
└─ send goals [producer]";

/// The second attempt at a record; the first one was in a batch.
const LAST_ATTEMPT: &str = "\
process goals [consumer] error: there is no such mailbox
│  • exception
│  → send goals (another trace)
│  → process goals (another trace)
├─ deliver [client] error: there is no such mailbox
│     • bounced
│     • exception
└─ send goals.dead [producer]";

const DEAD_LETTER: &str = "\
process goals.dead [consumer]
│  • a dead letter
│  → send goals.dead (another trace)
└─ commit goals.dead [client]";

/// A page of the replay.
pub(crate) const REPLAY: &str = "project goal_summary";
