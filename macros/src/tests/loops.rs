//! Receive loops under the role attributes.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::roles::{actor, told};
use crate::receive::Receives;
use crate::role::Role;

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
                            && let (Some(order), __arrived) = match (
                                P::turns_are_over(),
                                orders.recv().await,
                            ) {
                                ((), __received) => {
                                    let __arrived = {
                                        use P::{
                                            ArrivedFromNobody as _, ArrivedFromSender as _,
                                            MessageInOne as _, MessageInTwo as _, MessageItself as _,
                                        };
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
                    (&&&&P::Told(
                        __out,
                        P::handler_failed,
                    ))
                        .tell();
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
                            let (Some(order), __arrived) = (match (
                                P::turns_are_over(),
                                orders.recv().await,
                            ) {
                                ((), __received) => {
                                    let __arrived = {
                                        use P::{
                                            ArrivedFromNobody as _, ArrivedFromSender as _,
                                            MessageInOne as _, MessageInTwo as _, MessageItself as _,
                                        };
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
                                MessageItself as _, }; (&& (&& &
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
                                MessageItself as _, }; (&& (&& &
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
                        (&&&&P::Told(
                            __out,
                            P::handler_failed,
                        ))
                            .tell();
                    }
                },
            )
            .await
    }
    "#);
}

#[test]
fn loops_with_a_match() {
    assert_snapshot!(actor(
        quote!(message = "Order"),
        quote! {
            async fn run(mut orders: Receiver<Order>) {
                loop {
                    match orders.recv().await {
                        Some(order) if order.late => late(order).await?,
                        Some(Order { id, .. }) => { store(id).await }
                        None | Some(Err(_)) => break,
                        _ => {}
                    }
                    tick();
                }
                while open() {
                    let order: Order = match orders.recv().await { Some(order) => order, None => break };
                    store(order).await;
                }
            }
        }
    ));
}

#[test]
fn loops_that_block() {
    assert_snapshot!(actor(
        quote!(message = "Order"),
        quote! {
            fn run(orders: Receiver<Order>) -> Result<u32, Full> {
                for order in &orders { store(order)?; }
                loop {
                    let order = orders.recv()?;
                    store(order)?;
                }
            }
        }
    ));
}

#[test]
fn what_is_taken_for_a_receive_loop() {
    let found = |body: TokenStream| {
        let sig = syn::parse_quote!(fn run(self, mut rx: &mut my::Receiver<u8>, names: Vec<u8>));
        let group = proc_macro2::Group::new(proc_macro2::Delimiter::Brace, body);
        crate::receive::find(&sig, &group)
    };
    for body in [
        quote!(while let Ok(m) = self.rx.recv() {}),
        quote!(while let Some(m) = rx.blocking_recv()
            && open
        {}),
        quote!(for m in rx {}),
        quote!('all: for (i, m) in (&rx).iter() {}),
        quote!(loop {
            match rx.recv()? {
                Order(m) => {}
            }
        }),
        quote!(while open {
            if let Ok(m) = rx.recv_timeout(second) {
            } else if closed {
                break;
            }
        }),
        quote!(for _ in 0..3 {
            let m = rx.recv().await?;
        }),
        quote!(if open {
            loop {
                let m = match rx.recv() {
                    Ok(m) => m,
                    Err(_) => return,
                };
            }
        }),
    ] {
        assert_eq!(found(body.clone()), Receives::InLoop, "{body}");
    }
    for body in [
        quote!(spawn(move || while let Ok(m) = rx.recv() {})),
        quote!(spawn(|| for m in rx {})),
        quote!(spawn(move || {
            loop {
                match rx.recv() {
                    Ok(m) => {}
                    Err(_) => break,
                }
            }
        })),
    ] {
        assert_eq!(found(body.clone()), Receives::Elsewhere, "{body}");
    }
    for body in [
        quote!(for name in names {}),
        quote!(for name in names.iter() {}),
        quote!(for m in self.rx.iter() {}),
        quote!(while let Some(m) = iter.next() {}),
        quote!(loop {
            let m = rx.recv();
        }),
        quote!(loop {
            let m = rx.recv().await;
        }),
        quote!(loop {
            match rx.recv().await {
                None => break,
                _ => {}
            }
        }),
        quote!(loop {
            x = match rx.recv().await {
                Some(m) => m,
                None => break,
            };
        }),
        quote!(loop {
            match rx.recv() {
                Ok(m) => m,
                Err(_) => break,
            }
            .handle();
        }),
        quote!(match rx.recv().await {
            Some(m) => {}
            None => {}
        }),
    ] {
        assert_eq!(found(body.clone()), Receives::Nothing, "{body}");
    }
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
                                while let (Ok(change), __arrived) = match (
                                    P::turns_are_over(),
                                    self.inbox.recv_async().await,
                                ) {
                                    ((), __received) => {
                                        let __arrived = {
                                            use P::{
                                                ArrivedFromNobody as _, ArrivedFromSender as _,
                                                MessageInOne as _, MessageInTwo as _, MessageItself as _,
                                            };
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
                            (&&&&P::Told(
                                __out,
                                P::handler_failed,
                            ))
                                .tell();
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
                (&&&&P::Told(
                    &__result,
                    P::handler_failed,
                ))
                    .tell();
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
    assert_snapshot!(looping(Role::Actor, quote!(loop), quote!()), @"there is no loop here that receives messages: `while let Some(message) = ….recv().await { … }`, or the same with `recv_async`, `next` or `try_next`, or with one that blocks, `while let Ok(message) = ….recv() { … }`; a `for` is one if it goes through an argument whose type is called `…Receiver`");
    assert_snapshot!(looping(Role::Actor, quote!(), quote!(while let Some(m) = self.rx.pop().await {})), @r#"no argument of a named type is there to be handled: say what it is with `message = "…"`, or receive it here, in a loop: `while let Some(message) = ….recv().await { … }`"#);
    let elsewhere = receive();
    assert_snapshot!(looping(Role::Actor, quote!(), quote!(spawn(async move { #elsewhere }))), @"the loop that receives messages is in a block or closure that runs elsewhere: move the loop into a function of its own, and annotate that");
    let elsewhere = receive();
    assert_snapshot!(told(Role::Actor, quote!(loop), quote!(fn run(m: Add) { spawn(async move { #elsewhere }); })), @"the loop that receives messages is in a block or closure that runs elsewhere: move the loop into a function of its own, and annotate that");
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
