//! `#[actor]` on kameo's `impl Message`: it names the span that the mailbox's side starts, and is enough by itself.

use throughline::actor;

use super::*;

use crate::in_request;

/// Keeps goods.
#[derive(Actor, Default)]
struct Store {
    goods: u32,
}

struct Put(u32);
struct Take(u32);

#[actor(attrs(store.goods = self.goods))]
impl Message<Put> for Store {
    type Reply = ();

    async fn handle(&mut self, Put(goods): Put, _: &mut Context<Self, ()>) {
        book().await;
        self.goods += goods;
    }
}

#[actor(message = "TakeOut")]
impl Message<Take> for Store {
    type Reply = Result<u32, String>;

    async fn handle(
        &mut self,
        Take(goods): Take,
        _: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        let left = self.goods.checked_sub(goods);
        self.goods = left.ok_or_else(|| format!("only {}", self.goods))?;
        Ok(self.goods)
    }
}

traced_actor!(Store);

#[tokio::test]
async fn the_attribute_and_the_mailbox_make_one_span() {
    let capture = Capture::start();
    let store = Store::spawn_default();
    let requests = async {
        store.tell_traced(Put(2)).await.expect("room");
        assert_eq!(store.ask_traced(Take(1)).await.ok(), Some(1));
        store
            .ask_traced(Take(7))
            .await
            .map(drop)
            .map_err(drop)
            .expect_err("too many");
    };
    in_request(&capture, requests).await;
    stop(&store).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Store Put {actor.type="Store", actor.message.type="Put", trace.relation="child", trace.relation.reason="tell", actor.message.operation="tell", store.goods=0}
    │  └─ book
    ├─ Store TakeOut {actor.type="Store", actor.message.type="TakeOut", trace.relation="child", trace.relation.reason="ask", actor.message.operation="ask", error.type="alloc::string::String"} error: only 1
    │     • exception {exception.type="alloc::string::String", exception.message="only 1"}
    └─ Store TakeOut {actor.type="Store", actor.message.type="TakeOut", trace.relation="child", trace.relation.reason="ask", actor.message.operation="ask"}
    "#);
}

#[tokio::test]
async fn without_a_context_the_handler_has_its_own_span() {
    let capture = Capture::start();
    let prepared = Store::prepare();
    let store = prepared.actor_ref().clone();
    let request = async {
        store.ask(Put(2)).await.expect("answers");
        store.stop_gracefully().await.expect("runs");
    };
    // Told by kameo's own `ask`, under what the actor's task has for a context.
    let run = prepared
        .run(Store::default())
        .with_context(capture.context());
    let (ran, ()) = tokio::join!(run, in_request(&capture, request));
    ran.expect("started");
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    Store Put {actor.type="Store", actor.message.type="Put", store.goods=0}
    └─ book
    "#);
}
