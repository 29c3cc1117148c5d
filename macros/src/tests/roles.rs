//! `#[actor]`, `#[consumer]`, `#[producer]` and `#[projection]`.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::{messages, pretty};
use crate::role::{Role, expand};

fn actor(args: TokenStream, item: TokenStream) -> String {
    pretty(expand(Role::Actor, args, item))
}

fn told(role: Role, args: TokenStream, item: TokenStream) -> String {
    messages(expand(role, args, item))
}

#[test]
fn handlers_of_a_block() {
    assert_snapshot!(actor(
        quote!(attrs(cart.id = self.id)),
        quote! {
            impl<T> Message<Envelope<Add>> for my::Cart<T> {
                type Reply = ();

                async fn handle(&mut self, message: Envelope<Add>, _: Context) -> Result<(), Full> {
                    self.add(message).await
                }

                fn handle_later(&mut self, _: &[Remove]) {}

                fn handler_count(&self, by: Kind) -> usize { 1 }
                fn handle_nothing(&self) {}
            }
        }
    ));
}

#[test]
fn a_function_named_after_what_it_gets() {
    assert_snapshot!(pretty(expand(
        Role::Consumer,
        quote!(system = "kafka", destination = ?topic.name, batch, level = debug),
        quote! {
            async fn store(orders: Vec<Order>, topic: &Topic) {}
        }
    )));
}

#[test]
fn a_loop_that_receives_messages() {
    assert_snapshot!(actor(
        quote!(attrs(order.id = order.id)),
        quote! {
            async fn run(mut orders: Receiver<Order>) -> Result<(), Full> {
                'orders: while open() && let Some(order) = orders.recv().await && order.id > 0 {
                    while let Some(item) = order.items.next().await {
                        store(item).await?;
                        continue 'orders;
                    }
                }
                Ok(())
            }
        }
    ), @r#"
    async fn run(mut orders: Receiver<Order>) -> Result<(), Full> {
        P::in_turns(
                async move {
                    if let P::Option::Some(__ret) = P::Option::None::<
                        Result<(), Full>,
                    > {
                        return __ret;
                    }
                    {
                        {
                            'orders: while open()
                                && let (Some(order), __arrived) = match orders.recv().await {
                                    __received => {
                                        let __arrived = {
                                            use P::{
                                                ArrivedFromNobody as _, ArrivedFromSender as _,
                                                MessageInOne as _, MessageInTwo as _, MessageItself as _,
                                            };
                                            P::turns_are_over();
                                            (&&(&&&P::Received(&__received))
                                                .message())
                                                .arrived({
                                                    static __CALLSITE: P::Callsite = P::callsite! {
                                                        name : "run", function : "run", kind : Internal, level :
                                                        Info, target : P::module_path!()
                                                    };
                                                    &__CALLSITE
                                                })
                                        };
                                        (__received, __arrived)
                                    }
                                } && order.id > 0
                            {
                                let __turn = P::turn(
                                    __arrived,
                                    |__live, __message_type| {
                                        P::name_after(
                                            __live,
                                            "run",
                                            &__message_type,
                                        );
                                        P::LiveSpan::set_attribute(
                                            __live,
                                            const {
                                                &P::wire::key!("actor.message.type")
                                            },
                                            &__message_type,
                                        );
                                        P::LiveSpan::attribute(
                                            __live,
                                            const { &P::wire::key!("order.id") },
                                            &order.id,
                                        );
                                    },
                                );
                                {
                                    while let Some(item) = order.items.next().await {
                                        store(item).await?;
                                        continue 'orders;
                                    }
                                }
                            }
                            P::turns_are_over();
                        }
                        Ok(())
                    }
                },
                |__out| {
                    {
                        use P::{
                            ToldDebug as _, ToldDisplay as _, ToldFailure as _,
                            ToldNothing as _,
                        };
                        (&&&&P::Told(__out)).tell();
                    }
                },
            )
            .await
    }
    "#);
}

#[test]
fn loops_with_other_receives() {
    assert_snapshot!(actor(
        quote!(message = "Order"),
        quote! {
            async fn run(mut orders: Receiver<Order>) {
                loop {
                    let limit = limit();
                    let Some(order) = orders.recv().await else { break };
                    store(order, limit).await;
                }
                loop {
                    select! {
                        biased;
                        _ = stopped() => break,
                        Some(order) = orders.recv(), if open() => { store(order, 1).await }
                        Some(order) = late.next() => store(order, 2).await,
                        else => return,
                    }
                }
            }
        }
    ), @r#"
    async fn run(mut orders: Receiver<Order>) {
        P::in_turns(
                async move {
                    if let P::Option::Some(__ret) = P::Option::None::<
                        (),
                    > {
                        return __ret;
                    }
                    {
                        loop {
                            let limit = limit();
                            let (Some(order), __arrived) = (match orders.recv().await {
                                __received => {
                                    let __arrived = {
                                        use P::{
                                            ArrivedFromNobody as _, ArrivedFromSender as _,
                                            MessageInOne as _, MessageInTwo as _, MessageItself as _,
                                        };
                                        P::turns_are_over();
                                        (&&(&&&P::Received(&__received))
                                            .message())
                                            .arrived({
                                                static __CALLSITE: P::Callsite = P::callsite! {
                                                    name : "run Order", function : "run", kind : Internal, level
                                                    : Info, target : P::module_path!(),
                                                    attributes : { "actor.message.type" = ("Order"), }
                                                };
                                                &__CALLSITE
                                            })
                                    };
                                    (__received, __arrived)
                                }
                            }) else { break };
                            let __turn = P::turn(
                                __arrived,
                                |__live, _| {},
                            );
                            store(order, limit).await;
                        }
                        loop {
                            select! {
                                biased; _ = stopped() => break, (Some(order), __arrived) =
                                P::looking(orders.recv(), | __received
                                | { use P:: { ArrivedFromNobody as _,
                                ArrivedFromSender as _, MessageInOne as _, MessageInTwo as _,
                                MessageItself as _, };
                                P::turns_are_over(); (&& (&& &
                                P::Received(__received)).message())
                                .arrived({ static __CALLSITE :
                                P::Callsite =
                                P::callsite! { name : "run Order",
                                function : "run", kind : Internal, level : Info, target :
                                P::module_path!(), attributes : {
                                "actor.message.type" = ("Order"), } }; & __CALLSITE }) }), if
                                open() => { let __turn =
                                P::turn(__arrived, | __live, _ | {});
                                { store(order, 1). await } } (Some(order), __arrived) =
                                P::looking(late.next(), | __received |
                                { use P:: { ArrivedFromNobody as _,
                                ArrivedFromSender as _, MessageInOne as _, MessageInTwo as _,
                                MessageItself as _, };
                                P::turns_are_over(); (&& (&& &
                                P::Received(__received)).message())
                                .arrived({ static __CALLSITE :
                                P::Callsite =
                                P::callsite! { name : "run Order",
                                function : "run", kind : Internal, level : Info, target :
                                P::module_path!(), attributes : {
                                "actor.message.type" = ("Order"), } }; & __CALLSITE }) }) =>
                                { let __turn = P::turn(__arrived, |
                                __live, _ | {}); store(order, 2). await }, else => return,
                            }
                        }
                    }
                },
                |__out| {
                    {
                        use P::{
                            ToldDebug as _, ToldDisplay as _, ToldFailure as _,
                            ToldNothing as _,
                        };
                        (&&&&P::Told(__out)).tell();
                    }
                },
            )
            .await
    }
    "#);
}

#[test]
fn a_block_with_a_loop_and_a_handler() {
    assert_snapshot!(actor(
        quote!(message = %change.kind()),
        quote! {
            impl Cart {
                async fn run(mut self) {
                    while let Ok(change) = self.inbox.recv_async().await {
                        self.handle(change.into_inner()).await;
                    }
                }
                async fn run_once(&mut self) {}
                fn handle(&mut self, change: Change) {}
            }
        }
    ), @r#"
    impl Cart {
        async fn run(mut self) {
            P::in_turns(
                    async move {
                        if let P::Option::Some(__ret) = P::Option::None::<
                            (),
                        > {
                            return __ret;
                        }
                        {
                            {
                                while let (Ok(change), __arrived) = match self
                                    .inbox
                                    .recv_async()
                                    .await
                                {
                                    __received => {
                                        let __arrived = {
                                            use P::{
                                                ArrivedFromNobody as _, ArrivedFromSender as _,
                                                MessageInOne as _, MessageInTwo as _, MessageItself as _,
                                            };
                                            P::turns_are_over();
                                            (&&(&&&P::Received(&__received))
                                                .message())
                                                .arrived({
                                                    static __CALLSITE: P::Callsite = P::callsite! {
                                                        name : "Cart", function : "Cart::run", kind : Internal,
                                                        level : Info, target :
                                                        P::module_path!(), attributes : {
                                                        "actor.type" = ("Cart"), }
                                                    };
                                                    &__CALLSITE
                                                })
                                        };
                                        (__received, __arrived)
                                    }
                                } {
                                    let __turn = P::turn(
                                        __arrived,
                                        |__live, __message_type| {
                                            P::name_after(
                                                __live,
                                                "Cart",
                                                &__message_type,
                                            );
                                            P::LiveSpan::set_attribute(
                                                __live,
                                                const {
                                                    &P::wire::key!("actor.message.type")
                                                },
                                                &__message_type,
                                            );
                                        },
                                    );
                                    {
                                        self.handle(change.into_inner()).await;
                                    }
                                }
                                P::turns_are_over();
                            }
                        }
                    },
                    |__out| {
                        {
                            use P::{
                                ToldDebug as _, ToldDisplay as _, ToldFailure as _,
                                ToldNothing as _,
                            };
                            (&&&&P::Told(__out)).tell();
                        }
                    },
                )
                .await
        }
        async fn run_once(&mut self) {}
        fn handle(&mut self, change: Change) {
            let __guard = P::Span::enter(
                P::start_handler(
                    {
                        static __CALLSITE: P::Callsite = P::callsite! {
                            name : "Cart", function : "Cart::handle", kind : Internal, level
                            : Info, target : P::module_path!(),
                            attributes : { "actor.type" = ("Cart"), }
                        };
                        &__CALLSITE
                    },
                    |__live| {
                        P::name_after(__live, "Cart", &change.kind());
                        P::LiveSpan::set_attribute(
                            __live,
                            const {
                                &P::wire::key!("actor.message.type")
                            },
                            P::display(&change.kind()),
                        );
                    },
                ),
            );
            let __result = P::call(|| -> () {});
            {
                use P::{
                    ToldDebug as _, ToldDisplay as _, ToldFailure as _, ToldNothing as _,
                };
                (&&&&P::Told(&__result)).tell();
            }
            P::Span::end(
                P::SpanGuard::exit(__guard),
            );
            __result
        }
    }
    "#);
}

#[test]
fn loops_that_receive_nothing_here_are_told() {
    let looping = |role, args: TokenStream, body: TokenStream| {
        told(role, args, quote!(async fn run(self) { #body }))
    };
    let receive = || quote!(while let Some(m) = self.rx.recv().await {});
    assert_snapshot!(looping(Role::Actor, quote!(loop), quote!()), @"there is no loop here that receives messages: `while let Some(message) = ….recv().await { … }`, or the same with `recv_async`, `next` or `try_next`");
    assert_snapshot!(looping(Role::Actor, quote!(), quote!(while let Some(m) = self.rx.pop().await {})), @r#"no argument of a named type is there to be handled: say what it is with `message = "…"`, or receive it here, in a loop: `while let Some(message) = ….recv().await { … }`"#);
    let elsewhere = receive();
    assert_snapshot!(looping(Role::Actor, quote!(), quote!(spawn(async move { #elsewhere }))), @"the loop that receives messages is in a block that runs elsewhere: move the loop into an `async fn`, and annotate that");
    let elsewhere = receive();
    assert_snapshot!(told(Role::Actor, quote!(loop), quote!(fn run(m: Add) { spawn(async move { #elsewhere }); })), @"the loop that receives messages is in a block that runs elsewhere: move the loop into an `async fn`, and annotate that");
    assert_snapshot!(looping(Role::Actor, quote!(parent = context), receive()), @"the span of a message that is received relates to its sender's, as the receiver's policy says: remove `parent`");
    assert_snapshot!(
        looping(Role::Consumer, quote!(batch, system = "kafka", destination = "orders"), receive()),
        @"`batch` is for a function that is given several records; a loop receives one at a time"
    );
    assert_snapshot!(
        looping(Role::Producer, quote!(loop, system = "kafka", destination = "orders"), receive()),
        @"unknown argument `loop`; the valid arguments are `system`, `destination`, `name`, `kind`, `level`, `target`, `attrs(…)`, `parent`, `links`, `spawns`, `crate`"
    );
}

#[test]
fn what_does_not_fit_is_told() {
    let handler = || {
        quote!(
            async fn handle(message: Add) {}
        )
    };
    assert_snapshot!(told(
        Role::Actor,
        quote!(err, ret(Debug), system = "kafka"),
        handler()
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(message = 1, message = 2),
        handler()
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(),
        quote!(
            async fn handle((a, b): (u8, u8)) {}
        )
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(),
        quote!(impl Cart { fn add(&self, item: u8) {} })
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(),
        quote!(
            struct Cart;
        )
    ));
    assert_snapshot!(told(Role::Actor, quote!(attrs(id = id()?)), handler()));
    assert_snapshot!(told(
        Role::Consumer,
        quote!(batch = true),
        quote!(
            fn take(_: Order) {}
        )
    ));
    assert_snapshot!(told(
        Role::Consumer,
        quote!(system = "kafka", destination = "a", batch),
        quote!(
            fn take((a, b): Pair) {}
        )
    ));
    assert_snapshot!(told(Role::Producer, quote!(batch), handler()));
    assert_snapshot!(told(Role::Projection, quote!(name = summary), handler()));
}
