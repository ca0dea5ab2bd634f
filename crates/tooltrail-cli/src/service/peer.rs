//! Who sits at the other end of a connection, as far as the system tells.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// The user id that stands for every foreign one inside a user namespace: it tells nobody from anybody.
const NOBODY: u32 = 65_534;

/// Where a request came from, as an extension of it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    client: SocketAddr,
    service: Option<SocketAddr>,
    uid: Arc<OnceLock<Option<u32>>>,
}

/// What a session of the page is bound to: a cookie alone is not enough, as a browser sends it to every port of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On this machine, the user whose process opened the connection.
    User(u32),
    /// Otherwise the address.
    Address(IpAddr),
}

impl Peer {
    /// Returns the peer of a connection to an address of ours.
    pub(crate) fn new(client: SocketAddr, service: Option<SocketAddr>) -> Self {
        Self { client, service, uid: Arc::default() }
    }

    /// Returns its address.
    pub(crate) fn address(&self) -> IpAddr {
        self.client.ip()
    }

    /// Returns what a session that it begins is bound to. The system is asked once for each connection.
    pub(crate) fn origin(&self) -> Origin {
        let uid = self.uid.get_or_init(|| match self.service {
            Some(service) if self.client.ip().to_canonical().is_loopback() => uid_of(self.client, service),
            _ => None,
        });
        uid.map_or(Origin::Address(self.client.ip().to_canonical()), Origin::User)
    }
}

/// Returns the user whose process holds the client's end of a connection on this machine, `None` where the system does not
/// tell.
#[cfg(target_os = "linux")]
fn uid_of(client: SocketAddr, service: SocketAddr) -> Option<u32> {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        uid_in(&table, client, service)
    })
}

/// Elsewhere a connection does not tell its user.
#[cfg(not(target_os = "linux"))]
fn uid_of(_client: SocketAddr, _service: SocketAddr) -> Option<u32> {
    None
}

/// Looks for the client's end in a table of connections: its local address is the client's, its remote one ours.
#[cfg(any(target_os = "linux", test))]
fn uid_in(table: &str, client: SocketAddr, service: SocketAddr) -> Option<u32> {
    let is = |text: &str, address: SocketAddr| {
        endpoint(text).is_some_and(|found| {
            (found.ip().to_canonical(), found.port()) == (address.ip().to_canonical(), address.port())
        })
    };
    let mut lines = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let line = lines.find(|fields| fields.len() > 7 && is(fields[1], client) && is(fields[2], service))?;
    line[7].parse().ok().filter(|uid| *uid != NOBODY)
}

/// Reads `0100007F:1CFC`: an address as words of the machine's order, and a port.
#[cfg(any(target_os = "linux", test))]
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok().map(u32::to_ne_bytes));
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_end_tells_its_user() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1CFC 0100007F:C001 01 00000000:00000000 00:00000000 00000000   999        0 1 1\n\
            1: 0100007F:C001 0100007F:1CFC 01 00000000:00000000 00:00000000 00000000  1000        0 1 1\n\
            2: 0100007F:C002 0100007F:1CFC 01 00000000:00000000 00:00000000 00000000 65534        0 1 1\n";
        let service = "127.0.0.1:7420".parse().unwrap();
        let check = |port: u16, expected: Option<u32>| {
            assert_eq!(uid_in(table, SocketAddr::from(([127, 0, 0, 1], port)), service), expected, "{port}");
        };
        if cfg!(target_endian = "little") {
            check(0xC001, Some(1000));
            check(0xC002, None);
            check(0xC003, None);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_of_this_process_is_its_users() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = Peer::new(client.local_addr().unwrap(), Some(listener.local_addr().unwrap()));
        use std::os::unix::fs::MetadataExt as _;
        let own = std::fs::metadata("/proc/self").unwrap().uid();
        assert_eq!(peer.origin(), Origin::User(own));
    }
}
