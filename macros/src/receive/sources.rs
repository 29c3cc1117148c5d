//! The arguments of a function that messages come out of.
//!
//! Owns telling them by the names of their types, which is all that there is to tell `for message in receiver` from the
//! loop over a list.

use syn::{Expr, FnArg, Ident, Pat, Signature};

use crate::role::type_name;

/// What the types are called that messages come from.
const SOURCES: [&str; 4] = ["Receiver", "Consumer", "Stream", "Subscriber"];

/// What receivers call it to be gone through.
const ITERATORS: [&str; 4] = ["iter", "try_iter", "into_iter", "drain"];

/// Whether messages come out of what has a type of this name.
pub(crate) fn is_source(type_name: &str) -> bool {
    SOURCES.iter().any(|source| type_name.ends_with(source))
}

/// The names of such arguments.
pub(super) struct Sources<'a>(Vec<&'a Ident>);

impl<'a> Sources<'a> {
    pub(super) fn of(sig: &'a Signature) -> Self {
        let names = sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) if type_name(&typed.ty).is_some_and(|name| is_source(&name)) => {
                match &*typed.pat {
                    Pat::Ident(pat) => Some(&pat.ident),
                    _ => None,
                }
            }
            _ => None,
        });
        Self(names.collect())
    }

    /// Whether going through this receives: `receiver`, `&receiver` or `receiver.iter()`.
    pub(super) fn yields(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Paren(expr) => self.yields(&expr.expr),
            Expr::Group(expr) => self.yields(&expr.expr),
            Expr::Reference(expr) => self.yields(&expr.expr),
            Expr::MethodCall(call) => {
                ITERATORS.iter().any(|method| call.method == method) && self.yields(&call.receiver)
            }
            Expr::Path(path) => self.0.iter().any(|name| path.path.is_ident(*name)),
            _ => false,
        }
    }
}
