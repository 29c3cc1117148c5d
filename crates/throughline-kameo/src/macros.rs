//! The line that lets an actor take messages with contexts.

/// Lets an actor take [`Traced`](crate::Traced) messages: each that it takes without one, and with the same reply.
///
/// It prints one `impl` for all messages, which runs the actor's own handler in a span. The policy that relates the
/// spans to the senders' may follow, a constant expression; for an actor with parameters these come first, in brackets.
///
/// ```
/// use kameo::prelude::*;
/// use throughline_kameo::traced_actor;
/// use throughline_messaging::Policy;
///
/// #[derive(Actor)]
/// struct Mailer;
/// traced_actor!(Mailer, Policy::new().max_hops(4));
///
/// #[derive(Actor)]
/// struct Cache<T: Send + 'static>(Vec<T>);
/// traced_actor!([T: Send + 'static] Cache<T>);
/// ```
#[macro_export]
macro_rules! traced_actor {
    ([$($parameters:tt)*] $actor:ty $(,)?) => {
        $crate::traced_actor!([$($parameters)*] $actor, $crate::__private::Policy::new());
    };
    ([$($parameters:tt)*] $actor:ty, $policy:expr $(,)?) => {
        impl<__M, $($parameters)*> $crate::__private::Message<$crate::Traced<__M>> for $actor
        where
            Self: $crate::__private::Message<__M>,
            __M: $crate::__private::Send + 'static,
        {
            type Reply = <Self as $crate::__private::Message<__M>>::Reply;

            fn name() -> &'static str {
                <Self as $crate::__private::Message<__M>>::name()
            }

            fn handle(
                &mut self,
                message: $crate::Traced<__M>,
                ctx: &mut $crate::__private::Context<Self, Self::Reply>,
            ) -> impl $crate::__private::Future<Output = Self::Reply> + $crate::__private::Send {
                const POLICY: $crate::__private::Policy = $policy;
                $crate::__private::handle::<Self, __M>(self, message, ctx, &POLICY)
            }
        }
    };
    ($actor:ty $(, $policy:expr)? $(,)?) => {
        $crate::traced_actor!([] $actor $(, $policy)?);
    };
}
