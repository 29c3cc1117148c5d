//! The story: a transfer, one that is refused, an auditor who panics, an archive that does not answer in time, a printer
//! that is stopped with a full mailbox.
//!
//! Each chapter is a span, and so is each message that it leads to.

use std::time::Duration;

use throughline::traced;

use crate::bank::{BOOK, Bank, Failure, PRINTER_MAILBOX};

/// Tells it from the opening of the bank to its close.
pub(crate) async fn tell<B: Bank>() -> Result<(), Failure> {
    let mut bank = B::open().await?;
    let left = transfer(&bank, 30).await?;
    bank.signals().settled.notified().await;
    if transfer(&bank, left + 1).await.is_ok() {
        return Err("the account was not overdrawn".into());
    }
    audit(&bank).await?;
    bank.signals().audited.notified().await;
    if look_up(&bank).await.is_ok() {
        return Err("the archive answered in time".into());
    }
    print(&mut bank).await?;
    bank.close().await
}

#[traced(name = "transfer", err)]
async fn transfer<B: Bank>(bank: &B, amount: i64) -> Result<i64, Failure> {
    bank.transfer(amount).await
}

/// The first page is not there; the second message waits in the mailbox until the auditor is back.
#[traced(name = "audit", err)]
async fn audit<B: Bank>(bank: &B) -> Result<(), Failure> {
    bank.audit(BOOK.len()).await?;
    bank.audit(0).await
}

/// The archive is busy for as long as somebody asks: the question waits in its mailbox, and nobody waits for the answer.
#[traced(name = "look up", err)]
async fn look_up<B: Bank>(bank: &B) -> Result<i64, Failure> {
    bank.get_tape().await?;
    let answer = bank.look_up(LIMIT).await;
    bank.signals().tape.notify_one();
    answer
}

const LIMIT: Duration = Duration::from_millis(1);

/// One page is being printed, and as many wait as there is room for, when the printer is stopped.
#[traced(name = "print", err)]
async fn print<B: Bank>(bank: &mut B) -> Result<(), Failure> {
    bank.print()?;
    bank.signals().printing.notified().await;
    let mut printed = 1;
    while bank.print().is_ok() {
        printed += 1;
    }
    if printed != 1 + PRINTER_MAILBOX {
        return Err(format!("{printed} pages are in the mailbox").into());
    }
    bank.stop_printer().await;
    Ok(())
}
