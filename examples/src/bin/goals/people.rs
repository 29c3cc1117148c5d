//! The owners of goals. All that goes wrong in this story does so for two of them.

use std::collections::HashSet;
use std::fmt;

use throughline::traced;

/// Owners that give no trouble.
pub(crate) const OWNERS: [&str; 3] = ["ada", "grace", "barbara"];
/// Her address is not there when it is looked up for the first time: a projection fails, and tries again.
pub(crate) const MOVED: &str = "margaret";
/// What is sent to him comes back, every time: a handler gives up, and leaves a dead letter.
pub(crate) const GONE: &str = "nemo";

/// Where the owners get their mail.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    /// The goals for which it was asked where the one who moved is.
    asked: HashSet<String>,
}

impl AddressBook {
    #[traced(name = "find address", err, attrs(goal.owner = owner))]
    pub(crate) async fn find(&mut self, owner: &str, stream: &str) -> Result<String, NoAddress> {
        tokio::task::yield_now().await;
        if owner == MOVED && self.asked.insert(stream.to_owned()) {
            tracing::warn!(logged_by = "find", stream, "no address yet");
            return Err(NoAddress);
        }
        tracing::info!(logged_by = "find", stream, "found");
        Ok(format!("{owner}@example.org"))
    }
}

/// Brings a letter to an address.
#[traced(kind = client, err, attrs(goal.owner = owner))]
pub(crate) async fn deliver(owner: &str, address: &str, stream: &str) -> Result<(), Bounced> {
    tokio::task::yield_now().await;
    if address.split('@').next() == Some(GONE) {
        tracing::warn!(logged_by = "deliver", stream, "bounced");
        return Err(Bounced);
    }
    tracing::info!(logged_by = "deliver", stream, "delivered");
    Ok(())
}

#[derive(Debug)]
pub(crate) struct NoAddress;

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the new address is not known yet")
    }
}

#[derive(Debug)]
pub(crate) struct Bounced;

impl fmt::Display for Bounced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such mailbox")
    }
}
