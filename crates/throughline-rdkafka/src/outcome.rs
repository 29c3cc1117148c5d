//! How an operation of librdkafka ended, on its span.

use rdkafka::error::KafkaError;
use throughline_core::{LiveSpan, Status};

use crate::keys;

/// Records the error: its code as `error.type`, its text as the status.
pub(crate) fn fail(span: &mut LiveSpan, error: &KafkaError) {
    span.set_attribute(keys::ERROR_TYPE, code(error).as_str());
    span.set_status(Status::Error, &error.to_string());
}

/// librdkafka's code of the error; what has none is an error of rdkafka's.
pub(crate) fn code(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => format!("{code:?}"),
        None => "KafkaError".to_owned(),
    }
}
