//! Headers that users add to each request.
//!
//! Owns parsing and secrecy: values are often credentials, so no value is ever
//! shown by `Debug`, in a warning or in an error.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::env::{Env, key_value_list};

/// Request headers whose values stay hidden. A later value replaces an earlier
/// one of the same name.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Headers(HeaderMap);

impl Headers {
    /// Adds or replaces one header.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Name)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| HeaderError::Value)?;
        value.set_sensitive(true);
        self.0.insert(name, value);
        Ok(())
    }

    /// Reads a `name=value,name=value` variable. A member that is no header is
    /// left out with a warning that names its position and not its value.
    pub(crate) fn from_env(env: &mut Env<'_>, variable: &str) -> Option<Self> {
        let list = env.text(variable)?;
        let mut headers = Self::default();
        for (index, member) in key_value_list(&list).enumerate() {
            let problem = match member {
                Ok((name, value)) => match headers.set(&name, &value) {
                    Ok(()) => continue,
                    Err(error) => error.what(),
                },
                Err(error) => error.what(),
            };
            env.bad_secret(
                variable,
                &format!("member {} of the list {problem}", index + 1),
                "leaving that header out",
            );
        }
        Some(headers)
    }

    /// Lays `stronger` over these headers.
    pub(crate) fn extend(&mut self, stronger: Self) {
        self.0.extend(stronger.0);
    }

    pub(crate) fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a pair of texts is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Name,
    Value,
}

impl HeaderError {
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Name => "has a name that is no http header name",
            Self::Value => "has a value with characters that no http header may hold",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> (Option<Headers>, Vec<String>) {
        let lookup = |name: &str| (name == "H").then(|| list.to_owned());
        let mut env = Env::new(&lookup);
        let headers = Headers::from_env(&mut env, "H");
        (headers, env.into_warnings())
    }

    #[test]
    fn values_are_percent_decoded_and_never_shown() {
        let (headers, warnings) = read("Authorization=Bearer%20c4nary, x-b = 2");
        let headers = headers.unwrap();
        assert!(warnings.is_empty());
        assert_eq!(headers.as_map()["authorization"], "Bearer c4nary");
        assert_eq!(headers.as_map()["x-b"], "2");
        let shown = format!("{headers:?} {:?}", headers.as_map());
        assert!(shown.contains("authorization") && !shown.contains("c4nary"));
    }

    #[test]
    fn a_bad_member_is_left_out_without_its_value() {
        let (headers, warnings) = read("a=1,c4nary,b b=c4nary,c=c4nary%0a,d=%zc4nary,e=2");
        let headers = headers.unwrap();
        assert_eq!(headers.as_map().len(), 2);
        assert_eq!(
            warnings,
            [
                "H: member 2 of the list has a member without '='; leaving that header out",
                "H: member 3 of the list has a name that is no http header name; leaving that header out",
                "H: member 4 of the list has a value with characters that no http header may hold; leaving that header out",
                "H: member 5 of the list has a '%' that is not followed by two hexadecimal digits; leaving that header out",
            ]
        );
    }

    #[test]
    fn the_stronger_layer_replaces_by_name() {
        let mut weak = Headers::default();
        weak.set("a", "1").unwrap();
        weak.set("b", "1").unwrap();
        let mut strong = Headers::default();
        strong.set("B", "2").unwrap();
        weak.extend(strong);
        assert_eq!(weak.as_map()["a"], "1");
        assert_eq!(weak.as_map().get_all("b").iter().collect::<Vec<_>>(), ["2"]);
    }
}
