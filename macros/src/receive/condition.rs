//! What a receive looks like, and a condition that is one: `let Some(message) = ….recv().await`.
//!
//! Owns the names of the methods and the marking of conditions. It goes by what is written: no type is known here.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{BinOp, Expr, ExprLet};

use super::Marks;
use crate::tokens::{generated, local};

/// What receivers and streams call it where a future is waited for.
const AWAITED: [&str; 4] = ["recv", "recv_async", "next", "try_next"];

/// What receivers call it that block their thread, or take what is there. Iterators have a `next`, so this has none.
const BLOCKING: [&str; 6] = [
    "recv",
    "blocking_recv",
    "recv_blocking",
    "recv_timeout",
    "recv_deadline",
    "try_recv",
];

/// `….recv().await` or a receive that blocks, with a `?` behind or none.
pub(super) fn is_receive(expr: &Expr) -> bool {
    match expr {
        Expr::Try(expr) => is_receive(&expr.expr),
        Expr::Paren(expr) => is_receive(&expr.expr),
        Expr::Group(expr) => is_receive(&expr.expr),
        Expr::Await(expr) => is_future(&expr.base),
        other => is_call(other, &BLOCKING),
    }
}

/// `….recv()`, which is waited for.
pub(super) fn is_future(expr: &Expr) -> bool {
    is_call(expr, &AWAITED)
}

fn is_call(expr: &Expr, methods: &[&str]) -> bool {
    matches!(expr, Expr::MethodCall(call) if methods.iter().any(|method| call.method == method))
}

/// Whether one of the conditions is that a message comes.
pub(super) fn receives(condition: &Expr) -> bool {
    match condition {
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
            receives(&binary.left) || receives(&binary.right)
        }
        Expr::Let(condition) => is_receive(&condition.expr),
        _ => false,
    }
}

/// The condition with a look at what is received first.
pub(super) fn marked(condition: &Expr, marks: &Marks<'_>) -> TokenStream {
    mark(condition, marks).0
}

/// The same, and whether this is done.
fn mark(condition: &Expr, marks: &Marks<'_>) -> (TokenStream, bool) {
    match condition {
        Expr::Binary(binary) if receives(condition) => {
            let (left, done) = mark(&binary.left, marks);
            let (right, done) = if done {
                (binary.right.to_token_stream(), true)
            } else {
                mark(&binary.right, marks)
            };
            let op = &binary.op;
            (quote!(#left #op #right), done)
        }
        Expr::Let(condition) if is_receive(&condition.expr) => (mark_let(condition, marks), true),
        other => (other.to_token_stream(), false),
    }
}

/// Two patterns in place of one: temporary values of the condition live as long as they did.
fn mark_let(condition: &ExprLet, marks: &Marks<'_>) -> TokenStream {
    let ExprLet {
        attrs,
        let_token,
        pat,
        eq_token,
        expr,
    } = condition;
    let arrived = local("__arrived");
    let looked_at = marks.looked_at(expr);
    quote_spanned!(generated()=> #(#attrs)* #let_token (#pat, #arrived) #eq_token #looked_at)
}
