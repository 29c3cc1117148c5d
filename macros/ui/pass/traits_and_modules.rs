//! Annotated traits and modules: everything with a body inside, and `#[skip]`.
#![deny(warnings)]

use futures::executor::block_on;
use throughline::traced;

#[traced(level = debug, err)]
trait Repository {
    const NAME: &'static str;

    fn load(&self, id: u32) -> Option<u32>;

    fn load_twice(&self, id: u32) -> Option<u32> {
        self.load(id)?;
        self.load(id)
    }

    #[skip]
    fn cheap(&self) -> u32 {
        1
    }

    #[throughline::skip]
    fn without_body(&self);

    #[traced(name = "check", attrs(id = id))]
    fn check(&self, id: u32) -> Result<u32, String> {
        self.load(id).ok_or_else(|| format!("{} has no {id}", Self::NAME))
    }

    #[allow(async_fn_in_trait)]
    async fn later(&self) -> u32 {
        self.cheap()
    }
}

#[traced(attrs(layer = "store"))]
pub mod store {
    //! A module with documentation of its own.
    #![allow(clippy::module_inception)]

    use super::Repository;

    pub const LIMIT: u32 = 10;

    #[derive(Default)]
    pub struct Memory {
        pub hits: std::cell::Cell<u32>,
    }

    macro_rules! below {
        ($n:expr) => {
            $n < LIMIT
        };
    }

    impl Repository for Memory {
        const NAME: &'static str = "memory";

        fn load(&self, id: u32) -> Option<u32> {
            self.hits.set(self.hits.get() + 1);
            below!(id).then_some(id)
        }

        fn without_body(&self) {}
    }

    #[skip]
    impl Memory {
        pub fn untraced(&self) -> u32 {
            self.hits.get()
        }
    }

    #[traced(kind = client, attrs(layer = "inner"))]
    impl Memory {
        pub const fn constant(&self) -> u32 {
            1
        }

        pub async fn traced(&self) -> u32 {
            self.hits.get()
        }
    }

    pub mod inner {
        pub fn deep() -> u32 {
            super::LIMIT
        }

        #[rustfmt::skip]
        pub fn formatted_by_hand() -> [u32; 4] { [1, 0,
                                                  0, 1] }
    }

    #[skip]
    pub mod outside {
        #[throughline::traced]
        pub fn traced_by_itself() {}
    }
}

fn main() {
    let memory = store::Memory::default();
    assert_eq!(memory.load_twice(3), Some(3));
    assert_eq!(memory.load_twice(30), None);
    assert_eq!(memory.check(30), Err("memory has no 30".into()));
    assert_eq!(block_on(memory.later()), 1);
    memory.without_body();
    assert_eq!((memory.untraced(), block_on(memory.traced()), memory.constant()), (4, 4, 1));
    assert_eq!(store::inner::deep(), 10);
    assert_eq!(store::inner::formatted_by_hand(), [1, 0, 0, 1]);
    store::outside::traced_by_itself();
}
