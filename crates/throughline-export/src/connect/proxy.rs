//! Proxies, from the variables that every program reads.
//!
//! Owns which variable counts, and which endpoints stay without a proxy. The values
//! may hold passwords, so they are never shown.

use std::fmt;
use std::net::IpAddr;

use http::uri::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::endpoint::Endpoint;
use crate::env::Env;
use crate::error::StartError;

/// What the environment says about proxies.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ProxySettings {
    http: Option<String>,
    https: Option<String>,
    all: Option<String>,
    /// The hosts that are reached without one.
    no: Option<String>,
}

impl ProxySettings {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, or their
    /// names in small letters.
    pub(crate) fn from_env(env: &mut Env<'_>) -> Self {
        // A web server hands a CGI script the header `Proxy` under this name.
        let http: &[&str] = match env.text("REQUEST_METHOD") {
            Some(_) => &["http_proxy"],
            None => &["HTTP_PROXY", "http_proxy"],
        };
        Self {
            http: proxy(env, http),
            https: proxy(env, &["HTTPS_PROXY", "https_proxy"]),
            all: proxy(env, &["ALL_PROXY", "all_proxy"]),
            no: ["NO_PROXY", "no_proxy"]
                .iter()
                .find_map(|name| env.text(name)),
        }
    }

    /// Lays these settings over weaker ones.
    pub(crate) fn over(self, weaker: Self) -> Self {
        Self {
            http: self.http.or(weaker.http),
            https: self.https.or(weaker.https),
            all: self.all.or(weaker.all),
            no: self.no.or(weaker.no),
        }
    }

    /// The proxy for an endpoint. This machine is reached without one.
    ///
    /// # Errors
    ///
    /// The proxy is of a kind that is not spoken here. To go without it might be
    /// what it is there to prevent.
    pub(super) fn intercept(&self, endpoint: &Endpoint) -> Result<Option<Intercept>, StartError> {
        let uri = endpoint.uri();
        if uri.host().is_none_or(is_this_machine) {
            return Ok(None);
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let proxies = Matcher::builder()
            .http(text(&self.http))
            .https(text(&self.https))
            .all(text(&self.all))
            .no(text(&self.no))
            .build();
        let Some(proxy) = proxies.intercept(uri) else {
            return Ok(None);
        };
        match proxy.uri().scheme_str() {
            Some("http" | "socks5" | "socks5h") => Ok(Some(proxy)),
            other => Err(StartError::unsupported(format!(
                "the environment sends {:?} through a proxy that speaks {}; name one that \
                 speaks http or socks5, or add the host to NO_PROXY",
                endpoint.to_string(),
                other.unwrap_or("an unknown protocol")
            ))),
        }
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("http", &self.http),
            ("https", &self.https),
            ("all", &self.all),
            ("no", &self.no),
        ];
        let given = kinds.iter().filter(|(_, value)| value.is_some());
        f.debug_set().entries(given.map(|(kind, _)| kind)).finish()
    }
}

pub(super) fn is_socks(proxy: &Intercept) -> bool {
    proxy
        .uri()
        .scheme_str()
        .is_some_and(|scheme| scheme.starts_with("socks"))
}

/// `socks5h` leaves names to the proxy.
pub(super) fn looks_up_locally(proxy: &Intercept) -> bool {
    proxy.uri().scheme_str() == Some("socks5")
}

fn proxy(env: &mut Env<'_>, names: &[&str]) -> Option<String> {
    let (name, value) = names
        .iter()
        .find_map(|name| Some((name, env.text(name)?)))?;
    let any = Uri::from_static("http://any.invalid");
    if Matcher::builder()
        .all(value.as_str())
        .build()
        .intercept(&any)
        .is_none()
    {
        env.bad_secret(
            name,
            "the value is not a url such as http://proxy:3128",
            "using no such proxy",
        );
        return None;
    }
    Some(value)
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Address;
    use crate::otlp::{Protocol, Signal};

    fn read(variables: &[(&str, &str)]) -> (ProxySettings, Vec<String>) {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        };
        let mut env = Env::new(&lookup);
        let settings = ProxySettings::from_env(&mut env);
        (settings, env.into_warnings())
    }

    fn route(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let endpoint = Address::base(url)
            .unwrap()
            .endpoint(Protocol::HttpProtobuf, Signal::Traces, false)
            .unwrap();
        let proxy = read(variables).0.intercept(&endpoint).unwrap()?;
        Some(proxy.uri().to_string())
    }

    #[test]
    fn variables_choose_the_proxy() {
        for (variables, url, expected) in [
            (
                &[("HTTP_PROXY", "http://p:1")][..],
                "http://h",
                Some("http://p:1/"),
            ),
            (&[("http_proxy", "p:1")], "http://h", Some("http://p:1/")),
            (&[("HTTP_PROXY", "http://p:1")], "https://h", None),
            (
                &[("HTTPS_PROXY", "http://p:1")],
                "https://h",
                Some("http://p:1/"),
            ),
            (
                &[("ALL_PROXY", "socks5h://p:1")],
                "https://h",
                Some("socks5h://p:1/"),
            ),
            (
                &[("HTTP_PROXY", ""), ("ALL_PROXY", "p:1")],
                "http://h",
                Some("http://p:1/"),
            ),
            (
                &[("HTTP_PROXY", "p:1"), ("NO_PROXY", "b.c,h")],
                "http://h",
                None,
            ),
            (
                &[("HTTP_PROXY", "p:1"), ("NO_PROXY", "b.c")],
                "http://a.b.c",
                None,
            ),
            (
                &[("HTTP_PROXY", "p:1"), ("NO_PROXY", "*")],
                "http://h",
                None,
            ),
            (
                &[("HTTP_PROXY", "p:1"), ("NO_PROXY", "10.0.0.0/8")],
                "http://10.1.2.3",
                None,
            ),
            (
                &[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")],
                "http://h",
                None,
            ),
            (&[("HTTP_PROXY", "p:1")], "http://localhost:4318", None),
            (&[("HTTP_PROXY", "p:1")], "http://127.0.0.1:4318", None),
            (&[("HTTP_PROXY", "p:1")], "http://[::1]:4318", None),
            (&[("HTTP_PROXY", "p:1")], "unix:///socket", None),
        ] {
            assert_eq!(
                route(variables, url).as_deref(),
                expected,
                "{variables:?} {url}"
            );
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_said_and_not_passed_by() {
        let (settings, warnings) = read(&[("HTTP_PROXY", "ftp://me:c4nary@p")]);
        assert_eq!(settings, ProxySettings::default());
        assert_eq!(
            warnings,
            ["HTTP_PROXY: the value is not a url such as http://proxy:3128; using no such proxy"]
        );
        let (settings, _) = read(&[("ALL_PROXY", "https://me:c4nary@p")]);
        let endpoint = Address::base("http://h").unwrap();
        let endpoint = endpoint.endpoint(Protocol::HttpProtobuf, Signal::Traces, false);
        let error = settings.intercept(&endpoint.unwrap()).unwrap_err();
        assert!(error.is_unsupported());
        assert!(!error.to_string().contains("c4nary"), "{error}");
        assert_eq!(format!("{settings:?}"), r#"{"all"}"#);
    }
}
