//! The values that every path records: the same keys, the same values, in the same order.

use std::fmt;
use std::hint::black_box;

/// The values of one span's attributes: the first 0, 3 or 10 of the table below are recorded.
///
/// | key | value |
/// |---|---|
/// | `order.channel` | literal string |
/// | `order.items` | i64 |
/// | `order.id` | 16 characters, formatted by `Display` |
/// | `order.currency` | literal string |
/// | `order.total` | i64 |
/// | `order.customer` | 16 characters, formatted |
/// | `order.region` | literal string |
/// | `order.weight` | i64 |
/// | `order.shipment` | 16 characters, formatted |
/// | `order.carrier` | literal string |
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) items: i64,
    pub(crate) id: Code,
    pub(crate) total: i64,
    pub(crate) customer: Code,
    pub(crate) weight: i64,
    pub(crate) shipment: Code,
}

impl Order {
    /// Values that the compiler cannot know, so that no path formats at compile time.
    #[inline]
    pub(crate) fn new() -> Self {
        let seed = black_box(SEED);
        Self {
            items: (seed & 0xff) as i64,
            id: Code(seed),
            total: (seed >> 40) as i64,
            customer: Code(seed ^ 0x5a5a),
            weight: (seed >> 50) as i64,
            shipment: Code(seed ^ 0xa5a5),
        }
    }
}

/// An identifier of 16 hexadecimal characters, none of them padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code(u64);

impl fmt::Display for Code {
    /// Encodes into an array and writes once, as the crates for identifiers do: the formatting machinery for padded
    /// integers would cost every path more than what is compared here.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 16];
        for (digit, place) in text.iter_mut().zip((0..16).rev()) {
            *digit = b"0123456789abcdef"[(self.0 >> (4 * place)) as usize & 15];
        }
        formatter.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Name of the root span of every trace.
pub(crate) const ROOT: &str = "order.place";
/// Name of every other span.
pub(crate) const CHILD: &str = "order.line";

/// Calls the macro with the literals of the table before its arguments: for a path whose macro sees whether a value is
/// written out, as it is in a program.
macro_rules! with_literals {
    ($then:ident!($($arguments:tt)*)) => {
        $then! { ["storefront" "EUR" "eu-central" "post"] $($arguments)* }
    };
}
pub(crate) use with_literals;

macro_rules! constants {
    ([$channel:literal $currency:literal $region:literal $carrier:literal]) => {
        pub(crate) const CHANNEL: &str = $channel;
        pub(crate) const CURRENCY: &str = $currency;
        pub(crate) const REGION: &str = $region;
        pub(crate) const CARRIER: &str = $carrier;
    };
}
with_literals! { constants!() }

const SEED: u64 = 0xd1c0_ffee_0123_4567;
