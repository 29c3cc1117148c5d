//! The host's errors, as spans tell them.
//!
//! Owns the values of `error.type`: the names of the host's variants, and of a business rule's error the Rust type.

use std::error::Error;

use cqrs_es::AggregateError;
use cqrs_es::persist::{PersistenceError, QueryErrorHandler};
use throughline_messaging::event_failed;

/// An error handler for `GenericQuery::use_error_handler` that makes the current span an error, then calls `then`.
///
/// A query's `dispatch` returns nothing: only its error handler hears of a failure. It runs within the query's span, so
/// that this span fails; where the query reads a view (`GenericQuery::load`), the span of whoever reads. In a
/// [replay](crate::TracedReplay), the page does.
///
/// ```
/// use std::sync::Arc;
/// use cqrs_es::doc::MyAggregate;
/// use cqrs_es::persist::GenericQuery;
/// use cqrs_es::persist::doc::{MyDatabaseConnection, MyView, MyViewRepository};
/// use throughline_cqrs_es::error_handler;
///
/// let repository = Arc::new(MyViewRepository::new(MyDatabaseConnection));
/// let mut query = GenericQuery::<MyViewRepository, MyView, MyAggregate>::new(repository);
/// query.use_error_handler(error_handler(|error| eprintln!("{error}")));
/// ```
#[must_use = "the handler is there to be given to a query"]
pub fn error_handler(
    then: impl Fn(PersistenceError) + Send + Sync + 'static,
) -> Box<QueryErrorHandler> {
    Box::new(move |error| {
        event_failed(kind_of(&error), &error);
        then(error);
    })
}

/// The kind of an error of a view's or an event's repository.
pub(crate) const fn kind_of(error: &PersistenceError) -> &'static str {
    match error {
        PersistenceError::OptimisticLockError => "OptimisticLockError",
        PersistenceError::ConnectionError(_) => "ConnectionError",
        PersistenceError::DeserializationError(_) => "DeserializationError",
        PersistenceError::UnknownError(_) => "UnknownError",
    }
}

/// The kind of an error of a command.
pub(crate) fn kind_of_command<E: Error>(error: &AggregateError<E>) -> &'static str {
    match error {
        AggregateError::UserError(_) => std::any::type_name::<E>(),
        AggregateError::AggregateConflict => "AggregateConflict",
        AggregateError::DatabaseConnectionError(_) => "DatabaseConnectionError",
        AggregateError::DeserializationError(_) => "DeserializationError",
        AggregateError::UnexpectedError(_) => "UnexpectedError",
    }
}
