//! A value together with who gave it.

/// A value, and the option or variable that gave it, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) by: String,
    /// A bad value of the environment may be passed over with a warning; one of the
    /// program may not.
    pub(crate) is_variable: bool,
}

impl<T> Given<T> {
    pub(crate) fn by_option(name: &str, value: T) -> Self {
        Self {
            value,
            by: name.to_owned(),
            is_variable: false,
        }
    }

    pub(crate) fn by_variable(name: &str, value: T) -> Self {
        Self {
            value,
            by: name.to_owned(),
            is_variable: true,
        }
    }
}
