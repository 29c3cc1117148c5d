//! The bank: its messages, what goes wrong in it, and what each of its two forms can do.
//!
//! Nothing here knows of actors, let alone of tracing.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::sync::Notify;

/// Anything that is not part of the story.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What the story asks of a bank. Each form of it has its actors behind this.
pub(crate) trait Bank: Sized {
    /// Starts the actors.
    async fn open() -> Result<Self, Failure>;
    /// What the actors let the story know.
    fn signals(&self) -> &Signals;
    /// Asks the teller, who asks all checkers at the same time, then takes the money from one account and tells the
    /// other; a timer settles it later. Returns what is left.
    async fn transfer(&self, amount: i64) -> Result<i64, Failure>;
    /// Tells the auditor to look at a page of the book. For a page that is not there the auditor panics, and is started
    /// again.
    async fn audit(&self, page: usize) -> Result<(), Failure>;
    /// Tells the archive to get a tape, which takes as long as the story wants.
    async fn get_tape(&self) -> Result<(), Failure>;
    /// Asks the archive, for so long and no longer.
    async fn look_up(&self, limit: Duration) -> Result<i64, Failure>;
    /// Tells the printer, if there is room in its mailbox.
    fn print(&self) -> Result<(), Failure>;
    /// Stops the printer at once, whatever is left in its mailbox.
    async fn stop_printer(&mut self);
    /// Lets all other actors finish what is in their mailboxes, and stops them.
    async fn close(self) -> Result<(), Failure>;
}

/// What the story waits for, so that it is the same each time.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// The timer has come.
    pub(crate) settled: Notify,
    /// The auditor has seen a page.
    pub(crate) audited: Notify,
    /// The tape is there: this one the archive waits for.
    pub(crate) tape: Notify,
    /// The printer has begun.
    pub(crate) printing: Notify,
}

/// To the teller.
#[derive(Debug)]
pub(crate) struct Transfer(pub(crate) i64);

/// To the teller, from its timer.
#[derive(Debug)]
pub(crate) struct Settle;

/// How long after a transfer.
pub(crate) const SETTLE_AFTER: Duration = Duration::from_millis(1);

/// To a checker.
#[derive(Debug)]
pub(crate) struct Check(pub(crate) i64);

impl Check {
    /// Whether there is nothing to be said against it.
    pub(crate) const fn passes(&self) -> bool {
        self.0 > 0
    }
}

/// How many there are.
pub(crate) const CHECKERS: usize = 8;

/// To an account.
#[derive(Debug)]
pub(crate) struct Withdraw(pub(crate) i64);

/// To an account.
#[derive(Debug)]
pub(crate) struct Deposit(pub(crate) i64);

/// To the auditor.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) page: usize,
}

/// To the archive.
#[derive(Debug)]
pub(crate) struct GetTape;

/// To the archive.
#[derive(Debug)]
pub(crate) struct LookUp;

/// To the printer.
#[derive(Debug)]
pub(crate) struct Print;

/// What fits into the printer's mailbox.
pub(crate) const PRINTER_MAILBOX: usize = 3;

/// The money of one account.
#[derive(Debug)]
pub(crate) struct Balance(pub(crate) i64);

impl Balance {
    pub(crate) const fn withdraw(&mut self, amount: i64) -> Result<i64, Overdrawn> {
        if amount > self.0 {
            return Err(Overdrawn);
        }
        self.0 -= amount;
        Ok(self.0)
    }
}

/// There is not enough money.
#[derive(Clone, Copy)]
pub(crate) struct Overdrawn;

impl fmt::Display for Overdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is not enough money")
    }
}

impl fmt::Debug for Overdrawn {
    /// kameo tells errors in this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Overdrawn {}

/// Why the teller did not do it.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl Refused {
    pub(crate) fn because(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

/// What the auditor looks at.
pub(crate) const BOOK: [i64; 3] = [100, -30, 30];
