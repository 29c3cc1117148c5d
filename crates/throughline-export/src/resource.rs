//! The resource: what this process is, attached once to every request.
//!
//! Owns the default attributes, the order of precedence between the builder and
//! the environment, and the encoding. Values are plain strings, as everywhere
//! they come from text; the process id is the one integer.

use std::collections::BTreeMap;

use throughline_wire::{Buffer, Limits, put_resource_attribute};

use crate::env::{Env, key_value_list};

const SERVICE_NAME: &str = "service.name";

/// Attributes by key. A later insertion wins, so layers are laid from the weakest
/// to the strongest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    attributes: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Integer(i64),
}

impl Resource {
    /// What is known without anybody's help: this library, this process, and the
    /// name that the specification demands for a service without one.
    pub(crate) fn detected() -> Self {
        let mut resource = Self::default();
        resource.set("telemetry.sdk.name", "throughline");
        resource.set("telemetry.sdk.language", "rust");
        resource.set("telemetry.sdk.version", env!("CARGO_PKG_VERSION"));
        resource.set(SERVICE_NAME, unknown_service(executable_name().as_deref()));
        resource.attributes.insert(
            "process.pid".to_owned(),
            Value::Integer(i64::from(std::process::id())),
        );
        resource
    }

    pub(crate) fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.attributes
            .insert(key.into(), Value::Text(value.into()));
    }

    pub(crate) fn set_service_name(&mut self, name: impl Into<String>) {
        self.set(SERVICE_NAME, name);
    }

    /// Encodes the body of an OTLP `Resource` message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Buffer::new();
        for (key, value) in &self.attributes {
            // Resource attributes are exempt from the attribute limits.
            put_resource_attribute(&mut body, key, Limits::default(), |out| match value {
                Value::Text(text) => out.str(text),
                Value::Integer(integer) => out.i64(*integer),
            });
        }
        body.into_vec()
    }

    #[cfg(test)]
    fn text(&self, key: &str) -> Option<&str> {
        match self.attributes.get(key)? {
            Value::Text(text) => Some(text),
            Value::Integer(_) => None,
        }
    }
}

/// The attributes of `OTEL_RESOURCE_ATTRIBUTES`. One bad member discards the
/// whole value, as the specification asks.
pub(crate) fn attributes_from_env(env: &mut Env<'_>) -> Vec<(String, String)> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let Some(list) = env.text(NAME) else {
        return Vec::new();
    };
    match key_value_list(&list).collect() {
        Ok(attributes) => attributes,
        Err(error) => {
            env.bad(
                NAME,
                &list,
                &format!("unusable: it {}", error.what()),
                "of no such attributes",
            );
            Vec::new()
        }
    }
}

fn unknown_service(executable: Option<&str>) -> String {
    match executable {
        Some(name) => format!("unknown_service:{name}"),
        None => "unknown_service".to_owned(),
    }
}

fn executable_name() -> Option<String> {
    let path = std::env::current_exe()
        .ok()
        .or_else(|| std::env::args_os().next().map(Into::into))?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_list(list: &str) -> (Vec<(String, String)>, Vec<String>) {
        let lookup = |name: &str| (name == "OTEL_RESOURCE_ATTRIBUTES").then(|| list.to_owned());
        let mut env = Env::new(&lookup);
        let attributes = attributes_from_env(&mut env);
        (attributes, env.into_warnings())
    }

    #[test]
    fn the_default_names_the_library_and_the_executable() {
        let resource = Resource::detected();
        assert_eq!(resource.text("telemetry.sdk.name"), Some("throughline"));
        assert_eq!(resource.text("telemetry.sdk.language"), Some("rust"));
        assert_eq!(
            resource.text("telemetry.sdk.version"),
            Some(env!("CARGO_PKG_VERSION"))
        );
        let service = resource.text("service.name").unwrap();
        assert!(
            service.starts_with("unknown_service:throughline_export"),
            "{service}"
        );
        assert_eq!(unknown_service(None), "unknown_service");
    }

    #[test]
    fn attributes_are_percent_decoded() {
        let (attributes, warnings) = from_list("deployment.environment.name=a%2Cb,k=");
        assert!(warnings.is_empty());
        assert_eq!(
            attributes,
            [
                ("deployment.environment.name".to_owned(), "a,b".to_owned()),
                ("k".to_owned(), String::new())
            ]
        );
    }

    #[test]
    fn one_bad_member_discards_the_whole_value() {
        let (attributes, warnings) = from_list("a=b,c=%zz");
        assert!(attributes.is_empty());
        assert_eq!(
            warnings,
            [
                "OTEL_RESOURCE_ATTRIBUTES=\"a=b,c=%zz\" is unusable: it has a '%' that is not \
              followed by two hexadecimal digits; using the default of no such attributes"
            ]
        );
    }
}
