//! Generic impl blocks, constant parameters, higher-ranked bounds, associated types, and `Self` everywhere.

use std::fmt::Display;
use std::marker::PhantomData;

use futures::executor::block_on;
use throughline::traced;

struct Store<T, const N: usize> {
    items: [T; N],
}

trait Describe {
    type Text: Display;
    const LABEL: &'static str;

    fn describe(&self) -> Self::Text;
}

#[traced(attrs(store.size = N, store.kind = Self::KIND))]
impl<T: Clone + Display, const N: usize> Store<T, N>
where
    T: 'static,
{
    const KIND: &'static str = "array";

    fn new(items: [T; N]) -> Self {
        Self { items }
    }

    #[traced(attrs(first = %self.items[0]))]
    fn first(&self) -> &T {
        &self.items[0]
    }

    async fn nth<const I: usize>(&self) -> Option<T> {
        let item = self.items.get(I)?;
        Some(item.clone())
    }

    fn visit<F>(&self, visit: F)
    where
        F: for<'a> Fn(&'a T) -> &'a T,
    {
        for item in &self.items {
            visit(item);
        }
    }

    async fn map<U>(self, map: impl Fn(T) -> U) -> Vec<U> {
        self.items.into_iter().map(map).collect()
    }
}

#[traced]
impl<T: Clone + Display + 'static, const N: usize> Describe for Store<T, N> {
    type Text = String;
    const LABEL: &'static str = "store";

    #[traced(attrs(label = <Self as Describe>::LABEL))]
    fn describe(&self) -> Self::Text {
        format!("{} of {N}", <Self as Describe>::LABEL)
    }
}

struct Tagged<'a, T: ?Sized>(&'a str, PhantomData<T>);

#[traced]
impl<'a, T: ?Sized> Tagged<'a, T> {
    fn tag(&self) -> &'a str {
        self.0
    }

    async fn longest<'b>(&self, other: &'b str) -> &'b str
    where
        'a: 'b,
    {
        if other.len() > self.0.len() { other } else { self.0 }
    }
}

fn main() {
    let store = Store::new([1, 2, 3]);
    assert_eq!(*store.first(), 1);
    assert_eq!(block_on(store.nth::<2>()), Some(3));
    assert_eq!(block_on(store.nth::<7>()), None);
    store.visit(|item| item);
    assert_eq!(store.describe(), "store of 3");
    assert_eq!(block_on(store.map(|n| n + 1)), [2, 3, 4]);
    let tagged = Tagged::<str>("tag", PhantomData);
    assert_eq!(tagged.tag(), "tag");
    assert_eq!(block_on(tagged.longest("longer")), "longer");
}
