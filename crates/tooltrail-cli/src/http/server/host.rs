//! Check of the host name and the origin of a request, so that a malicious web page cannot reach the service through
//! a user's browser.

use std::sync::Arc;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri, Version};

use crate::http::status::Problem;

/// The host names that the service accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// Loopback names and these names, under which a proxy serves the service. A foreign name that resolves to loopback
    /// (DNS rebinding) is refused.
    Loopback(Arc<[String]>),
    /// Any name, because the service cannot know under which names its machine is reached from outside.
    Any,
}

impl Hosts {
    /// Refuses a request for another host name, and a `POST` from a page of another site.
    pub(crate) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let host = host(headers)?;
        if host.is_none() && version > Version::HTTP_10 {
            return Err(Problem::unclear("the header Host is missing", "send it once"));
        }
        if let Self::Loopback(named) = self {
            let ours =
                |name: &Authority| is_local(name) || named.iter().any(|known| known.eq_ignore_ascii_case(name.host()));
            if [host.as_ref(), uri.authority()].into_iter().flatten().any(|name| !ours(name)) {
                return Err(Problem::WrongHost);
            }
        }
        if method == Method::POST {
            for origin in headers.get_all(ORIGIN) {
                let site = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
                let same =
                    matches!(site, Some(("http" | "https", site)) if host.as_ref().is_some_and(|host| host == site));
                if !same {
                    return Err(Problem::Forbidden {
                        detail: "another site's page may not send entries",
                        hint: "leave the header Origin out",
                    });
                }
            }
        }
        Ok(())
    }
}

/// Returns the host from the header Host; `None` if the header is missing.
fn host(headers: &HeaderMap) -> Result<Option<Authority>, Problem> {
    let mut all = headers.get_all(HOST).iter();
    let (first, second) = (all.next(), all.next());
    let Some(first) = first else { return Ok(None) };
    match Authority::try_from(first.as_bytes()) {
        Ok(host) if second.is_none() && !host.as_str().contains('@') => Ok(Some(host)),
        _ => Err(Problem::unclear("the header Host is no host", "send it once")),
    }
}

/// Whether a name always means this machine. The port is ignored, because a tunnel may use another port.
fn is_local(name: &Authority) -> bool {
    let host = name.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use axum::http::{HeaderMap, HeaderValue, Method, Uri, Version};
    use std::sync::Arc;

    #[test]
    fn other_names_and_other_sites_are_refused() {
        let check =
            |hosts: Hosts, uri: &'static str, host: &[&'static str], origin: Option<&'static str>, good: bool| {
                let mut headers = HeaderMap::new();
                for host in host {
                    headers.append("host", HeaderValue::from_static(host));
                }
                if let Some(origin) = origin {
                    headers.insert("origin", HeaderValue::from_static(origin));
                }
                let checked = hosts.check(&Method::POST, &Uri::from_static(uri), Version::HTTP_11, &headers);
                assert_eq!(checked.is_ok(), good, "{hosts:?} {uri} {host:?} {origin:?}");
            };
        let loopback = || Hosts::Loopback(Arc::from([]));
        for host in ["127.0.0.1", "127.0.0.1:7420", "localhost:1", "LOCALHOST", "[::1]:7420", "127.8.8.8"] {
            check(loopback(), "/", &[host], None, true);
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "a@127.0.0.1", ""]
        {
            check(loopback(), "/", &[host], None, false);
        }
        check(Hosts::Any, "/", &["trail.example"], None, true);
        check(Hosts::Any, "/", &[], None, false);
        check(Hosts::Any, "/", &["a", "b"], None, false);
        check(loopback(), "http://evil.example/", &["localhost"], None, false);
        check(loopback(), "/", &["localhost:7"], Some("http://localhost:7"), true);
        check(Hosts::Any, "/", &["trail.example"], Some("https://trail.example"), true);
        for origin in ["null", "http://localhost:8", "http://evil.example", "file://localhost:7"] {
            check(loopback(), "/", &["localhost:7"], Some(origin), false);
        }
    }
}
