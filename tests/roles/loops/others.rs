//! Loops that do not receive in their condition.

use super::*;

#[derive(Default)]
struct Stop(Notify);

/// Is told by others when to stop, and hears it before the next message.
#[actor(loop, message = "Number")]
async fn listen(
    stop: &Stop,
    mut inbox: mpsc::UnboundedReceiver<u32>,
    mut urgent: tokio::sync::mpsc::UnboundedReceiver<u32>,
) -> Result<u32, Refused> {
    let mut sum = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.0.notified() => break,
            Some(number) = urgent.recv(), if sum < 100 => sum += check(number)?,
            Some(number) = inbox.recv() => {
                match *number {
                    0 => continue,
                    3 => break,
                    _ => store().await,
                }
                sum += check(number.into_inner())?;
            }
        }
    }
    store().await;
    Ok(sum)
}

#[tokio::test]
async fn a_receive_among_others() {
    let capture = Capture::start();
    for (numbers, urgent, ended) in [
        (&[0, 2, 3][..], None, Ok(2)),
        (&[5, 13][..], None, Err(Refused(13))),
        (&[1, 3][..], Some(7), Ok(8)),
    ] {
        let stop = Stop::default();
        let (tx, inbox) = mpsc::unbounded_channel();
        let (now, soon) = tokio::sync::mpsc::unbounded_channel();
        in_request(&capture, async {
            numbers.iter().for_each(|n| tx.send(*n).expect("open"));
        })
        .await;
        urgent.into_iter().for_each(|n| now.send(n).expect("open"));
        drop((tx, now));
        let listen = listen(&stop, inbox, soon).with_context(capture.context());
        assert_eq!(listen.await, ended);
    }
    let stop = Stop::default();
    stop.0.notify_one();
    let (tx, inbox) = mpsc::unbounded_channel();
    in_request(&capture, async { tx.send(1).expect("open") }).await;
    let (_now, soon) = tokio::sync::mpsc::unbounded_channel();
    let listen = listen(&stop, inbox, soon).with_context(capture.context());
    assert_eq!(listen.await, Ok(0));
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ listen Number {actor.message.type="Number", trace.relation="child"}
    ├─ listen Number {actor.message.type="Number", trace.relation="child"}
    │  └─ store
    └─ listen Number {actor.message.type="Number", trace.relation="child"}
    store
    request
    ├─ listen Number {actor.message.type="Number", trace.relation="child"}
    │  └─ store
    └─ listen Number {actor.message.type="Number", trace.relation="child", error.type="roles::loops::Refused"} error: 13 is refused
       │  • exception
       └─ store
    request
    ├─ listen Number {actor.message.type="Number", trace.relation="child"}
    │  └─ store
    └─ listen Number {actor.message.type="Number", trace.relation="child"}
    listen Number {actor.message.type="Number"}
    store
    request
    └─ process u32 {actor.message.type="u32", trace.relation="child", span.outcome="undelivered"}
    store
    "#);
}

#[actor]
async fn add(mut inbox: mpsc::UnboundedReceiver<u32>) -> Result<u32, Refused> {
    let mut sum = 0;
    loop {
        let limit = 100;
        let Some(number) = inbox.recv().await else {
            break;
        };
        if *number > limit {
            continue;
        }
        store().await;
        let number = check(number.into_inner())?;
        sum += number;
    }
    // The last message has nothing to do with this.
    check(sum)
}

#[tokio::test]
async fn a_receive_that_the_rest_of_the_loop_follows() {
    let capture = Capture::start();
    for (numbers, ended) in [
        (&[101, 2][..], Ok(2)),
        (&[6, 7][..], Err(Refused(13))),
        (&[13, 7][..], Err(Refused(13))),
    ] {
        let (tx, inbox) = mpsc::unbounded_channel();
        in_request(&capture, async {
            numbers.iter().for_each(|n| tx.send(*n).expect("open"));
        })
        .await;
        drop(tx);
        assert_eq!(add(inbox).await, ended);
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ add u32 {trace.relation="child", actor.message.type="u32"}
    └─ add u32 {trace.relation="child", actor.message.type="u32"}
       └─ store
    request
    ├─ add u32 {trace.relation="child", actor.message.type="u32"}
    │  └─ store
    └─ add u32 {trace.relation="child", actor.message.type="u32"}
       └─ store
    request
    ├─ add u32 {trace.relation="child", actor.message.type="u32", error.type="roles::loops::Refused"} error: 13 is refused
    │  │  • exception
    │  └─ store
    └─ process u32 {actor.message.type="u32", trace.relation="child", span.outcome="undelivered"}
    "#);
}
