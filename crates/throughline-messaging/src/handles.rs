//! What the handles of several channels have in common: a channel inside, and methods of it that are passed on.

/// A handle can be cloned whatever its messages are, and is shown by the name of its channel.
macro_rules! handle {
    ($name:ident { $($copied:ident),+ }) => {
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self {
                    inner: self.inner.clone(),
                    $($copied: self.$copied),+
                }
            }
        }

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name))
                    .field(&self.channel.name())
                    .finish()
            }
        }
    };
}

/// A sender of Tokio's that does not keep its channel open, and what one that does has to do with it.
#[cfg(feature = "tokio")]
macro_rules! weak_sender {
    ($(#[$docs:meta])* $weak:ident, $sender:ident, $inner:ty) => {
        $(#[$docs])*
        pub struct $weak<T> {
            inner: $inner,
            channel: &'static Channel,
        }

        impl<T> $weak<T> {
            /// A sender, unless all of them are gone.
            #[must_use]
            pub fn upgrade(&self) -> Option<$sender<T>> {
                Some($sender {
                    inner: self.inner.upgrade()?,
                    channel: self.channel,
                })
            }
        }

        handle!($weak { channel });
        counts_senders!($weak);

        impl<T> $sender<T> {
            /// A sender that does not keep the channel open.
            #[must_use]
            pub fn downgrade(&self) -> $weak<T> {
                $weak {
                    inner: self.inner.downgrade(),
                    channel: self.channel,
                }
            }
        }

        handle!($sender { channel });
        counts_senders!($sender);
    };
}

/// How many senders of Tokio's there are of each kind, as either kind knows it.
#[cfg(feature = "tokio")]
macro_rules! counts_senders {
    ($name:ident) => {
        impl<T> $name<T> {
            /// How many senders keep the channel open.
            #[must_use]
            pub fn strong_count(&self) -> usize {
                self.inner.strong_count()
            }

            /// How many senders do not.
            #[must_use]
            pub fn weak_count(&self) -> usize {
                self.inner.weak_count()
            }
        }
    };
}

/// What a side of a channel of many receivers knows of the channel.
#[cfg(any(feature = "async-channel", feature = "flume", feature = "tokio"))]
macro_rules! many_receivers {
    ($name:ident) => {
        impl<T> $name<T> {
            /// Whether no message is in the channel.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.inner.is_empty()
            }

            /// How many messages are in the channel.
            #[must_use]
            pub fn len(&self) -> usize {
                self.inner.len()
            }

            /// How many receivers there are.
            #[must_use]
            pub fn receiver_count(&self) -> usize {
                self.inner.receiver_count()
            }

            /// Whether both belong to the same channel.
            #[must_use]
            pub fn same_channel(&self, other: &Self) -> bool {
                self.inner.same_channel(&other.inner)
            }
        }
    };
}

/// The methods of both sides of a channel whose messages go to one of many receivers each.
#[cfg(any(feature = "async-channel", feature = "flume"))]
macro_rules! side {
    ($name:ident) => {
        many_receivers!($name);

        impl<T> $name<T> {
            /// Whether there is no room.
            #[must_use]
            pub fn is_full(&self) -> bool {
                self.inner.is_full()
            }

            /// How many messages there is room for in the empty channel; none if it is unbounded.
            #[must_use]
            pub fn capacity(&self) -> Option<usize> {
                self.inner.capacity()
            }

            /// How many senders there are.
            #[must_use]
            pub fn sender_count(&self) -> usize {
                self.inner.sender_count()
            }
        }
    };
}
