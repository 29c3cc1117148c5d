//! Loops with a receive that is matched, tested or bound in a statement.

use throughline::channel::broadcast;

use super::*;

/// Has several arms for messages, one with a guard, and leaves by each.
#[actor]
async fn total(mut numbers: mpsc::UnboundedReceiver<u32>) -> Result<u32, Refused> {
    let (mut total, mut rounds) = (0, 0);
    'all: loop {
        match numbers.recv().await {
            Some(number) if *number > 100 => continue,
            Some(number) if *number == 0 => break 'all,
            Some(number) => {
                store().await;
                total += check(number.into_inner())?;
            }
            // The message before has nothing to do with this.
            None => return Err(Refused(rounds)),
        }
        rounds += 1;
        if rounds == 3 {
            return Err(Refused(total));
        }
        store().await;
    }
    Ok(total)
}

async fn sent(capture: &Capture, numbers: &[u32]) -> mpsc::UnboundedReceiver<u32> {
    let (tx, rx) = mpsc::unbounded_channel();
    in_request(capture, async {
        numbers.iter().for_each(|n| tx.send(*n).expect("open"));
    })
    .await;
    rx
}

#[tokio::test]
async fn the_arms_of_a_match_handle_messages_and_what_follows_does_not() {
    let capture = Capture::start();
    for (numbers, ended) in [
        (&[200, 5, 0][..], Ok(5)),
        (&[6, 13][..], Err(Refused(13))),
        (&[7][..], Err(Refused(1))),
        (&[1, 1, 1][..], Err(Refused(3))),
    ] {
        let total = total(sent(&capture, numbers).await);
        assert_eq!(total.with_context(capture.context()).await, ended);
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ total u32 {trace.relation="child", actor.message.type="u32"}
    ├─ total u32 {trace.relation="child", actor.message.type="u32"}
    │  └─ store
    └─ total u32 {trace.relation="child", actor.message.type="u32"}
    store
    request
    ├─ total u32 {trace.relation="child", actor.message.type="u32"}
    │  └─ store
    └─ total u32 {trace.relation="child", actor.message.type="u32", error.type="roles::loops::Refused"} error: 13 is refused
       │  • exception
       └─ store
    store
    request
    └─ total u32 {trace.relation="child", actor.message.type="u32"}
       └─ store
    store
    request
    ├─ total u32 {trace.relation="child", actor.message.type="u32"}
    │  └─ store
    ├─ total u32 {trace.relation="child", actor.message.type="u32"}
    │  └─ store
    └─ total u32 {trace.relation="child", actor.message.type="u32"}
       └─ store
    store
    store
    "#);
}

enum Step {
    Add(u32),
    Sub { by: u32 },
    Pause,
    Stop,
}

/// Takes the messages apart where it matches them; what they bring along says nothing of a sender.
#[actor(message = "Step", attrs(number = number))]
async fn apart(mut steps: tokio::sync::mpsc::UnboundedReceiver<Step>) -> u32 {
    let mut total = 0;
    while total < 100 {
        match steps.recv().await {
            Some(Step::Add(number)) => {
                store().await;
                total += number;
            }
            Some(Step::Sub { by: number }) => total -= number,
            None => break,
            // No handler: there is no number to be recorded.
            _ => total += 100,
        }
    }
    total
}

#[tokio::test]
async fn arms_that_take_a_message_apart() {
    let capture = Capture::start();
    let (tx, steps) = tokio::sync::mpsc::unbounded_channel();
    for step in [Step::Add(3), Step::Sub { by: 1 }, Step::Pause, Step::Stop] {
        tx.send(step).expect("open");
    }
    assert_eq!(in_request(&capture, apart(steps)).await, 102);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ apart Step {actor.message.type="Step", number=3}
    │  └─ store
    └─ apart Step {actor.message.type="Step", number=1}
    "#);
}

/// The oldest way to write it: what is matched is bound, and handled after.
#[actor(attrs(number = *number))]
async fn bound(mut numbers: broadcast::Receiver<u32>) -> Result<u32, Refused> {
    use tokio::sync::broadcast::error::RecvError;
    let mut missed = 0;
    loop {
        let number: Delivery<u32> = match numbers.recv().await {
            Ok(number) => number,
            Err(RecvError::Lagged(count)) => {
                missed += u32::try_from(count).unwrap_or(u32::MAX);
                store().await;
                continue;
            }
            Err(RecvError::Closed) => return Ok(missed),
        };
        store().await;
        check(*number)?;
    }
}

/// An error of the receive is none of the message before.
#[actor]
async fn asked(mut numbers: broadcast::Receiver<u32>) -> Result<u32, broadcast::error::RecvError> {
    let mut last = 0;
    loop {
        let number = numbers.recv().await?;
        store().await;
        last += *number;
        if last > 20 {
            return Ok(last);
        }
    }
}

/// Tests for a message and does something else without one.
#[actor]
async fn tested(mut numbers: mpsc::UnboundedReceiver<u32>) -> Result<u32, Refused> {
    let mut last = 0;
    loop {
        if let Some(number) = numbers.recv().await
            && *number != 0
        {
            last = check(number.into_inner())?;
        } else if last > 0 {
            store().await;
            break;
        } else {
            return Err(Refused(last));
        }
        store().await;
    }
    Ok(last)
}

#[tokio::test]
async fn what_is_bound_in_a_statement_is_handled_by_the_rest_of_the_loop() {
    let capture = Capture::start();
    let (tx, rx) = broadcast::channel(2);
    let (again, once) = (tx.subscribe(), tx.subscribe());
    in_request(&capture, async {
        for number in [5, 13, 8] {
            tx.send(number).expect("open");
        }
    })
    .await;
    let here = || capture.context();
    assert_eq!(bound(rx).with_context(here()).await, Err(Refused(13)));
    let lagged = broadcast::error::RecvError::Lagged(1);
    assert_eq!(asked(again).with_context(here()).await, Err(lagged));
    drop(tx);
    let mut once = once;
    once.recv().await.expect_err("lags");
    assert_eq!(asked(once).with_context(here()).await, Ok(21));
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ bound u32 {trace.relation="child", actor.message.type="u32", number=13, error.type="roles::loops::Refused"} error: 13 is refused
    │  │  • exception
    │  └─ store
    ├─ asked u32 {trace.relation="child", actor.message.type="u32"}
    │  └─ store
    └─ asked u32 {trace.relation="child", actor.message.type="u32"}
       └─ store
    store
    "#);
}

#[tokio::test]
async fn a_message_that_is_tested_for() {
    let capture = Capture::start();
    for (numbers, ended) in [
        (&[4, 0][..], Ok(4)),
        (&[0][..], Err(Refused(0))),
        (&[13][..], Err(Refused(13))),
    ] {
        let tested = tested(sent(&capture, numbers).await);
        assert_eq!(tested.with_context(capture.context()).await, ended);
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ tested u32 {trace.relation="child", actor.message.type="u32"}
    └─ tested {trace.relation="child", actor.message.type="u32"}
    store
    store
    request
    └─ tested {trace.relation="child", actor.message.type="u32"}
    request
    └─ tested u32 {trace.relation="child", actor.message.type="u32", error.type="roles::loops::Refused"} error: 13 is refused
          • exception
    "#);
}

#[tokio::test]
async fn a_match_that_is_dropped_at_any_poll_cancels_its_message() {
    let capture = Capture::start();
    for polls in 1..4 {
        let mut total = Box::pin(total(sent(&capture, &[5]).await));
        for _ in 0..polls {
            // The second wait is between two messages, and the third for the next: the sender is gone.
            if poll!(&mut total).is_ready() {
                break;
            }
        }
        drop(total);
        assert_eq!(Context::current(), Context::default());
    }
    let options = TreeOptions::new().hide("actor.*").hide("trace.*");
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    request
    └─ total u32 {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
       └─ store {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    request
    └─ total u32
       └─ store
    request
    └─ total u32
       └─ store
    "#);
}
