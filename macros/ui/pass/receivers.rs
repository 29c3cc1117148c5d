//! Every kind of receiver, and results that borrow from it.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use futures::executor::block_on;
use throughline::traced;

#[derive(Debug, Default)]
struct Counter {
    count: u32,
    name: String,
}

#[derive(Debug)]
struct Empty;

#[traced]
impl Counter {
    fn by_value(self) -> u32 {
        self.count
    }

    fn by_mut_value(mut self) -> Self {
        self.count += 1;
        self
    }

    fn in_box(self: Box<Self>) -> u32 {
        self.count
    }

    fn in_rc(self: Rc<Self>) -> u32 {
        self.count
    }

    #[traced(attrs(count = self.count))]
    async fn in_arc(self: Arc<Self>, by: u32) -> u32 {
        self.count + by
    }

    fn pinned(self: Pin<&mut Self>) -> u32 {
        let this = self.get_mut();
        this.count += 1;
        this.count
    }

    async fn pinned_async(mut self: Pin<&mut Self>) -> u32 {
        self.count += 1;
        self.count
    }

    #[traced(err(Debug))]
    fn borrow(&self) -> Result<&str, Empty> {
        if self.name.is_empty() { Err(Empty) } else { Ok(&self.name) }
    }

    #[traced(err(Debug), ret)]
    fn borrow_mut(&mut self) -> Result<&mut String, Empty> {
        if self.count == 0 {
            return Err(Empty);
        }
        Ok(&mut self.name)
    }

    #[traced(ret)]
    fn pass_through<'a>(&self, text: &'a mut String) -> &'a mut String {
        text.push('!');
        text
    }

    #[traced(err(Debug))]
    async fn borrow_async(&mut self) -> Result<&mut u32, Empty> {
        Ok(&mut self.count)
    }
}

fn main() {
    assert_eq!(Counter::default().by_value(), 0);
    assert_eq!(Counter::default().by_mut_value().count, 1);
    assert_eq!(Box::new(Counter::default()).in_box(), 0);
    assert_eq!(Rc::new(Counter::default()).in_rc(), 0);
    assert_eq!(block_on(Arc::new(Counter::default()).in_arc(2)), 2);
    let mut counter = Counter { count: 1, name: "n".into() };
    assert_eq!(Pin::new(&mut counter).pinned(), 2);
    assert_eq!(block_on(Pin::new(&mut counter).pinned_async()), 3);
    assert_eq!(counter.borrow().unwrap(), "n");
    counter.borrow_mut().unwrap().push('o');
    assert_eq!(counter.name, "no");
    *block_on(counter.borrow_async()).unwrap() = 7;
    assert_eq!(counter.count, 7);
    assert_eq!(counter.pass_through(&mut "hey".to_owned()), "hey!");
}
