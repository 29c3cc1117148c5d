//! Arguments are dropped in the order in which the plain function drops them.

use std::cell::RefCell;

use futures::executor::block_on;
use throughline::traced;

thread_local!(static DROPPED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) });

struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
    }
}

fn dropped() -> Vec<&'static str> {
    DROPPED.take()
}

macro_rules! pair {
    ($(#[$attr:meta])* $plain:ident, $traced:ident: fn $params:tt $(-> $ret:ty)? $body:block) => {
        fn $plain $params $(-> $ret)? $body
        #[traced $(($attr))*]
        fn $traced $params $(-> $ret)? $body
    };
    ($(#[$attr:meta])* $plain:ident, $traced:ident: async fn $params:tt $(-> $ret:ty)? $body:block) => {
        async fn $plain $params $(-> $ret)? $body
        #[traced $(($attr))*]
        async fn $traced $params $(-> $ret)? $body
    };
}

pair!(sync, sync_traced: fn(_a: Noisy, b: Noisy, _: Noisy, (c, _d): (Noisy, Noisy)) {
    let _local = Noisy("local");
    let _ = (&b, &c);
});

pair!(#[ret] inspected, inspected_traced: fn(_a: Noisy, b: Noisy, (c, _d): (Noisy, Noisy)) -> usize {
    let _local = Noisy("local");
    b.0.len() + c.0.len()
});

pair!(not_sync, not_sync_traced: async fn(_a: Noisy, b: Noisy, (c, _d): (Noisy, Noisy), e: Noisy) {
    let _local = Noisy("local");
    async {}.await;
    let _ = format!("{}", e.0);
    let _ = (&b, &c);
});

struct Owner(Noisy);

impl Owner {
    async fn plain(self, b: Noisy) -> usize {
        self.0.0.len() + b.0.len()
    }

    #[traced]
    async fn traced(self, b: Noisy) -> usize {
        self.0.0.len() + b.0.len()
    }
}

fn main() {
    let tuple = || (Noisy("c"), Noisy("d"));
    sync(Noisy("a"), Noisy("b"), Noisy("_"), tuple());
    let plain = dropped();
    assert_eq!(plain.first(), Some(&"local"));
    sync_traced(Noisy("a"), Noisy("b"), Noisy("_"), tuple());
    assert_eq!(dropped(), plain);

    inspected(Noisy("a"), Noisy("b"), tuple());
    let plain = dropped();
    inspected_traced(Noisy("a"), Noisy("b"), tuple());
    assert_eq!(dropped(), plain);

    block_on(not_sync(Noisy("a"), Noisy("b"), tuple(), Noisy("e")));
    let plain = dropped();
    block_on(not_sync_traced(Noisy("a"), Noisy("b"), tuple(), Noisy("e")));
    assert_eq!(dropped(), plain);

    // Never polled.
    drop(not_sync(Noisy("a"), Noisy("b"), tuple(), Noisy("e")));
    let plain = dropped();
    drop(not_sync_traced(Noisy("a"), Noisy("b"), tuple(), Noisy("e")));
    assert_eq!(dropped(), plain);

    block_on(Owner(Noisy("self")).plain(Noisy("b")));
    let plain = dropped();
    block_on(Owner(Noisy("self")).traced(Noisy("b")));
    assert_eq!(dropped(), plain);
}
