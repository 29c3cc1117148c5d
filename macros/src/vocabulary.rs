//! The fixed words of the annotations: span kinds, levels, formats, and what the words of other libraries are called
//! here.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, LitInt, LitStr, Result, Token};

/// How a value is turned into an attribute when it is not an attribute value by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Debug,
    Display,
}

impl Format {
    /// The sign before a value: `%` or `?`, or none for a value that is recorded as what it is.
    pub(crate) fn parse_sign(input: ParseStream<'_>) -> Result<Option<Self>> {
        if input.parse::<Option<Token![%]>>()?.is_some() {
            Ok(Some(Self::Display))
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Ok(Some(Self::Debug))
        } else {
            Ok(None)
        }
    }
}

/// One of a closed list of words: the variant it stands for in the facade's enums.
pub(crate) type Word = &'static str;

/// The value of `kind`: a bare word or a string.
pub(crate) fn kind(input: ParseStream<'_>) -> Result<Word> {
    let (word, span) = match input.parse::<Option<LitStr>>()? {
        Some(text) => (text.value(), text.span()),
        None => bare_word(input, "kind", KIND_LIST, &KINDS)?,
    };
    lookup(&KINDS, &word).ok_or_else(|| unknown_word("span kind", &word, span, KIND_LIST, &KINDS))
}

/// The value of `level`: a bare word.
pub(crate) fn level(input: ParseStream<'_>) -> Result<Word> {
    if input.peek(LitStr) {
        let text = input.parse::<LitStr>()?;
        let word = text.value().to_lowercase();
        let advice = if lookup(&LEVELS, &word).is_some() {
            format!("a level is written without quotes: `level = {word}`")
        } else {
            format!("a level is a bare word, one of {LEVEL_LIST}")
        };
        return Err(Error::new(text.span(), advice));
    }
    if input.peek(LitInt) {
        let number = input.parse::<LitInt>()?;
        return Err(Error::new(
            number.span(),
            format!("a level is a bare word, one of {LEVEL_LIST}"),
        ));
    }
    let (word, span) = bare_word(input, "level", LEVEL_LIST, &LEVELS)?;
    lookup(&LEVELS, &word).ok_or_else(|| unknown_word("level", &word, span, LEVEL_LIST, &LEVELS))
}

/// The value of `spawns`: whether spawn calls carry the context.
pub(crate) fn spawns(input: ParseStream<'_>) -> Result<bool> {
    let list = "`carry` and `leave`";
    if !input.peek(Ident::peek_any) {
        return Err(input.error(format!("`spawns` is a bare word, one of {list}")));
    }
    let word = input.call(Ident::parse_any)?;
    match word.to_string().as_str() {
        "carry" => Ok(true),
        "leave" => Ok(false),
        other => Err(Error::new(
            word.span(),
            format!("unknown value `{other}` of `spawns`; the valid ones are {list}"),
        )),
    }
}

/// The word in the parentheses of `err(…)` and `ret(…)`.
pub(crate) fn format(input: ParseStream<'_>) -> Result<Format> {
    let word = input.call(Ident::parse_any)?;
    match word.to_string().as_str() {
        "Debug" => Ok(Format::Debug),
        "Display" => Ok(Format::Display),
        other => Err(Error::new(
            word.span(),
            format!("unknown format `{other}`; the valid formats are `Debug` and `Display`"),
        )),
    }
}

/// What a word of another library is called here, or what to do instead of it.
pub(crate) fn advice(word: &str) -> Option<&'static str> {
    Some(match word {
        "fields" => "it is called `attrs` here, as in `attrs(order.id = %id)`",
        "properties" | "props" | "attributes" | "attr" | "tags" => {
            "it is called `attrs` here, as in `attrs(key = value)`"
        }
        "skip" | "skip_all" => {
            "there is nothing to skip: arguments are recorded only when `attrs` names them"
        }
        "follows_from" | "link" => "it is called `links` here, as in `links = [context]`",
        "short_name" => "the name is always short; write `name = \"…\"` for another one",
        "enter_on_poll" => "the span of a future is entered on each poll, always",
        "error" | "errors" => "it is called `err` here",
        "spawn" => "it is called `spawns` here, as in `spawns = leave`",
        "result" | "output" => "it is called `ret` here",
        "lvl" | "severity" => "it is called `level` here",
        "span_name" | "operation" | "operation_name" => "it is called `name` here",
        "span_kind" | "otel" => "it is called `kind` here, as in `kind = client`",
        _ => return None,
    })
}

const KINDS: [(&str, Word); 5] = [
    ("internal", "Internal"),
    ("server", "Server"),
    ("client", "Client"),
    ("producer", "Producer"),
    ("consumer", "Consumer"),
];
const KIND_LIST: &str = "`internal`, `server`, `client`, `producer`, `consumer`";

const LEVELS: [(&str, Word); 5] = [
    ("trace", "Trace"),
    ("debug", "Debug"),
    ("info", "Info"),
    ("warn", "Warn"),
    ("error", "Error"),
];
const LEVEL_LIST: &str = "`trace`, `debug`, `info`, `warn`, `error`";

fn lookup(words: &[(&str, Word)], word: &str) -> Option<Word> {
    words
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, variant)| *variant)
}

fn bare_word(
    input: ParseStream<'_>,
    key: &str,
    list: &str,
    words: &[(&str, Word)],
) -> Result<(String, Span)> {
    if !input.peek(Ident::peek_any) {
        return Err(input.error(format!("expected one of {list}")));
    }
    let word = input.call(Ident::parse_any)?;
    if input.peek(Token![::]) {
        // `Level::DEBUG` and `SpanKind::Client` are what other libraries want.
        let path = input
            .parse::<Token![::]>()
            .and_then(|_| input.call(Ident::parse_any))?;
        let last = path.to_string().to_lowercase();
        let advice = match lookup(words, &last) {
            Some(_) => format!("write the bare word: `{key} = {last}`"),
            None => format!("`{key}` is a bare word, one of {list}"),
        };
        return Err(Error::new(word.span(), advice));
    }
    Ok((word.to_string(), word.span()))
}

fn unknown_word(what: &str, word: &str, span: Span, list: &str, words: &[(&str, Word)]) -> Error {
    let lower = word.to_lowercase();
    if lookup(words, &lower).is_some() {
        return Error::new(
            span,
            format!("the {what} is written in lower case: `{lower}`"),
        );
    }
    Error::new(
        span,
        format!("unknown {what} `{word}`; the valid ones are {list}"),
    )
}
