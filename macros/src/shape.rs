//! What kind of function a signature and the end of a body make: sync, async, or a function that returns a future.
//!
//! Purely syntactic, in this order:
//! 1. `async fn`;
//! 2. a return type `impl Future`: the returned value is the future;
//! 3. a body that ends in `Box::pin(…)` or `async { … }.boxed()`, as `#[async_trait]` and people write it: the future in
//!    there, if the return type says that it is one or it is an `async` block;
//! 4. a boxed future that is made some other way: nobody can tell where, so it is a mistake;
//! 5. everything else is sync.

use proc_macro2::Group;
use quote::ToTokens;
use syn::{
    GenericArgument, PathArguments, ReturnType, Signature, Token, Type, TypeInfer, TypeParamBound,
};

use crate::boxed::BoxedTail;
use crate::tokens::contains_ident;

pub(crate) enum Shape {
    Sync,
    Async,
    ImplFuture,
    Boxed(BoxedTail),
    /// Rule 4.
    UnknownBox,
}

impl Shape {
    pub(crate) fn of(sig: &Signature, body: &Group) -> Self {
        if sig.asyncness.is_some() {
            return Self::Async;
        }
        match Returned::of(sig) {
            Returned::Nothing => Self::Sync,
            Returned::Future(_) => Self::ImplFuture,
            Returned::Boxed(_) => {
                BoxedTail::find(body.stream(), true).map_or(Self::UnknownBox, Self::Boxed)
            }
            // `Self::Future` and other aliases may be boxes, too.
            Returned::Plain(_) => {
                BoxedTail::find(body.stream(), false).map_or(Self::Sync, Self::Boxed)
            }
        }
    }
}

/// What the work of the function yields, as far as the signature tells: for futures, their output.
pub(crate) fn output(sig: &Signature) -> Output<'_> {
    match Returned::of(sig) {
        Returned::Nothing => Output::Unit,
        Returned::Plain(ty) => Output::Type(ty),
        Returned::Future(BoundOutput(output)) | Returned::Boxed(BoundOutput(output)) => {
            output.map_or(Output::Unknown, |ty| Output::Type(bare(ty)))
        }
    }
}

/// The return type, sorted. That of an `async fn` is always plain.
enum Returned<'a> {
    Nothing,
    Plain(&'a Type),
    Future(BoundOutput<'a>),
    Boxed(BoundOutput<'a>),
}

impl<'a> Returned<'a> {
    fn of(sig: &'a Signature) -> Self {
        let ReturnType::Type(_, ty) = &sig.output else {
            return Self::Nothing;
        };
        let ty = bare(ty);
        if sig.asyncness.is_some() {
            return Self::Plain(ty);
        }
        match ty {
            Type::ImplTrait(opaque) => {
                future_bound(&opaque.bounds).map_or(Self::Plain(ty), Self::Future)
            }
            _ => boxed_future(ty).map_or(Self::Plain(ty), Self::Boxed),
        }
    }
}

/// The type without parentheses, written ones and those that `macro_rules!` puts around a fragment.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => bare(&paren.elem),
        Type::Group(group) => bare(&group.elem),
        _ => ty,
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Output<'a> {
    Unit,
    Type(&'a Type),
    Unknown,
}

impl Output<'_> {
    /// Whether the name of the type says that it is a result.
    pub(crate) fn is_result(self) -> bool {
        matches!(self, Self::Type(Type::Path(ty)) if ty.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result")))
    }

    /// What it is, when it is certainly no result.
    pub(crate) fn is_no_result(self) -> Option<String> {
        let ty = match self {
            Self::Unit => return Some("nothing".to_owned()),
            Self::Unknown => return None,
            Self::Type(ty) => ty,
        };
        match ty {
            Type::Never(_) => Some("never".to_owned()),
            Type::Tuple(tuple) if tuple.elems.is_empty() => Some("nothing".to_owned()),
            Type::Tuple(_) => Some("a tuple".to_owned()),
            Type::Array(_) | Type::Slice(_) => Some("an array".to_owned()),
            Type::Path(path) if path.qself.is_none() => {
                let last = path.path.segments.last()?.ident.to_string();
                NO_RESULTS
                    .contains(&last.as_str())
                    .then(|| format!("`{last}`"))
            }
            _ => None,
        }
    }

    /// Whether it never comes.
    pub(crate) fn is_never(self) -> bool {
        matches!(self, Self::Type(Type::Never(_)))
    }

    /// Whether there is no value to record.
    pub(crate) fn is_nothing(self) -> bool {
        match self {
            Self::Unit | Self::Type(Type::Never(_)) => true,
            Self::Type(Type::Tuple(tuple)) => tuple.elems.is_empty(),
            Self::Type(_) | Self::Unknown => false,
        }
    }
}

const NO_RESULTS: [&str; 20] = [
    "Option", "String", "Vec", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8",
    "i16", "i32", "i64", "i128", "isize", "f32", "f64", "str",
];

/// The type with `_` where nothing can be named: `impl Trait`, at any depth. `None` if nothing of it is left to help
/// inference.
pub(crate) fn erase_impl_trait(ty: &Type) -> Option<Type> {
    if matches!(bare(ty), Type::Never(_)) {
        return None;
    }
    let mut ty = ty.clone();
    erase(&mut ty);
    (!matches!(bare(&ty), Type::Infer(_))).then_some(ty)
}

fn erase(ty: &mut Type) {
    if !contains_ident(ty.to_token_stream(), "impl") {
        return;
    }
    match ty {
        Type::Array(array) => erase(&mut array.elem),
        Type::Group(group) => erase(&mut group.elem),
        Type::Paren(paren) => erase(&mut paren.elem),
        Type::Ptr(pointer) => erase(&mut pointer.elem),
        Type::Reference(reference) => erase(&mut reference.elem),
        Type::Slice(slice) => erase(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(erase),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let GenericArgument::Type(ty) = argument {
                            erase(ty);
                        }
                    }
                }
            }
        }
        _ => {
            *ty = Type::Infer(TypeInfer {
                attrs: Vec::new(),
                underscore_token: Token![_](crate::tokens::generated()),
            });
        }
    }
}

/// The output that a `Future` bound names, if it names one.
struct BoundOutput<'a>(Option<&'a Type>);

fn future_bound<'a>(
    bounds: impl IntoIterator<Item = &'a TypeParamBound>,
) -> Option<BoundOutput<'a>> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let last = bound.path.segments.last()?;
        if last.ident != "Future" {
            return None;
        }
        let PathArguments::AngleBracketed(arguments) = &last.arguments else {
            return Some(BoundOutput(None));
        };
        Some(BoundOutput(arguments.args.iter().find_map(
            |argument| match argument {
                GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(&assoc.ty),
                _ => None,
            },
        )))
    })
}

/// `Pin<Box<dyn Future<…>>>`, `BoxFuture<…>` and `LocalBoxFuture<…>`.
fn boxed_future(ty: &Type) -> Option<BoundOutput<'_>> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
        return Some(BoundOutput(only_type_argument(&last.arguments)));
    }
    if last.ident != "Pin" {
        return None;
    }
    let Type::Path(inner) = bare(only_type_argument(&last.arguments)?) else {
        return None;
    };
    let inner = inner
        .path
        .segments
        .last()
        .filter(|inner| inner.ident == "Box")?;
    match bare(only_type_argument(&inner.arguments)?) {
        Type::TraitObject(object) => future_bound(&object.bounds),
        _ => None,
    }
}

fn only_type_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.next().filter(|_| types.next().is_none())
}
