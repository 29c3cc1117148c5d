//! How an operation of librdkafka ended, on its span.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::error::KafkaError;
use throughline_core::{Span, Status};

use crate::keys;

/// Records the error: its code as `error.type`, its text as the status.
pub(crate) fn fail(span: &mut Span, error: &KafkaError) {
    span.failed(|| kept_code(error));
    span.edit(|span| {
        span.set_attribute(keys::ERROR_TYPE, code(error).as_str());
        span.set_status(Status::Error, &error.to_string());
    });
}

/// librdkafka's code of the error; what has none is an error of rdkafka's.
pub(crate) fn code(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => format!("{code:?}"),
        None => "KafkaError".to_owned(),
    }
}

/// The same, for those who keep it: there are as many as librdkafka has codes.
pub(crate) fn kept_code(error: &KafkaError) -> &'static str {
    static CODES: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());
    let mut codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
    codes
        .entry(code(error))
        .or_insert_with_key(|code| code.clone().leak())
}
