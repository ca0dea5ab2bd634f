//! The address of a service on this machine.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a service on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// `HOST:PORT` of loopback.
    Http(String),
}

impl FromStr for ServiceAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").map(PathBuf::from) {
            let is_absolute = path.is_absolute();
            return if is_absolute {
                Ok(Self::Unix(path))
            } else {
                Err("the path of a socket begins with /".to_owned())
            };
        }
        let hint = "write unix:/PATH or http://127.0.0.1:PORT: the service is one of this machine";
        let Some(authority) = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
            return Err(hint.to_owned());
        };
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = name.parse::<IpAddr>().map_or(name == "localhost", |address| address.is_loopback());
        if !is_loopback || port.parse::<u16>().is_err() {
            return Err(hint.to_owned());
        }
        Ok(Self::Http(authority.to_owned()))
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(authority) => write!(f, "http://{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_of_this_machine_have_an_address() {
        for text in ["unix:/run/tooltrail/socket", "http://127.0.0.1:7420", "http://[::1]:7420", "http://localhost:80"]
        {
            assert_eq!(text.parse::<ServiceAddress>().unwrap().to_string(), text);
        }
        let others =
            ["unix:socket", "https://127.0.0.1", "http://example.com:1", "http://10.0.0.1:1", "127.0.0.1:1", ""];
        for text in others.into_iter().chain(["http://127.0.0.1:99999", "http://127.0.0.1:7420/x"]) {
            assert!(text.parse::<ServiceAddress>().is_err(), "{text}");
        }
    }
}
