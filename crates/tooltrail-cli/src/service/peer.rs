//! The client of a connection: its address and, on this machine, its user id as far as the system reports it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// The user id that a user namespace shows for every id from outside. It cannot tell users apart, so nobody is known by
/// it.
pub(crate) const NOBODY: u32 = 65_534;

/// The client of a request; it is stored as a request extension.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Connection);

#[derive(Clone, Debug)]
enum Connection {
    Tcp {
        client: SocketAddr,
        service: Option<SocketAddr>,
        uid: Arc<OnceLock<Option<u32>>>,
    },
    /// A Unix socket, whose client has this user id.
    Unix {
        uid: u32,
    },
}

/// What a page session is bound to. A cookie alone is not enough, because a browser sends it to every port of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// For a client on this machine: the user whose process opened the connection.
    User(u32),
    /// For any other client, or if the system does not tell the user: the IP address.
    Address(IpAddr),
    /// A client on this machine whose user is outside of the user namespace of this process, as are others that look
    /// the same. No session is bound to it.
    Nobody,
}

impl Peer {
    /// Returns the peer of a connection from `client` to the address `service` of this service.
    pub(crate) fn new(client: SocketAddr, service: Option<SocketAddr>) -> Self {
        Self(Connection::Tcp { client, service, uid: Arc::default() })
    }

    /// Returns the peer of a connection to a Unix socket, whose client has this user id.
    pub(crate) const fn of_user(uid: u32) -> Self {
        Self(Connection::Unix { uid })
    }

    /// Returns the IP address of the client, or its user if it uses a Unix socket.
    pub(crate) fn address_or_user(&self) -> Origin {
        match &self.0 {
            Connection::Tcp { client, .. } => Origin::Address(client.ip()),
            Connection::Unix { uid } => Origin::of(*uid),
        }
    }

    /// Returns the user id of a client that uses a Unix socket, unless that cannot tell users apart.
    pub(crate) fn socket_user(&self) -> Option<u32> {
        match &self.0 {
            Connection::Unix { uid } if *uid != NOBODY => Some(*uid),
            _ => None,
        }
    }

    /// Returns the origin that a session of this client is bound to. The system is asked once per connection.
    pub(crate) fn origin(&self) -> Origin {
        match &self.0 {
            Connection::Unix { uid } => Origin::of(*uid),
            Connection::Tcp { client, service, uid } => {
                let uid = uid.get_or_init(|| match service {
                    Some(service) if client.ip().to_canonical().is_loopback() => uid_of(*client, *service),
                    _ => None,
                });
                uid.map_or(Origin::Address(client.ip().to_canonical()), Origin::of)
            }
        }
    }
}

impl Origin {
    const fn of(uid: u32) -> Self {
        if uid == NOBODY { Self::Nobody } else { Self::User(uid) }
    }
}

/// Returns the user whose process owns the client side of a connection on this machine; `None` if the system does not
/// report it.
#[cfg(target_os = "linux")]
fn uid_of(client: SocketAddr, service: SocketAddr) -> Option<u32> {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        uid_in(&table, client, service)
    })
}

/// On other systems, the user of a connection is not known.
#[cfg(not(target_os = "linux"))]
fn uid_of(_client: SocketAddr, _service: SocketAddr) -> Option<u32> {
    None
}

/// Returns the user of the client's socket in a `/proc/net/tcp` table: the line whose local address is the client's and
/// whose remote address is the service's.
#[cfg(any(target_os = "linux", test))]
fn uid_in(table: &str, client: SocketAddr, service: SocketAddr) -> Option<u32> {
    let is = |text: &str, address: SocketAddr| {
        endpoint(text).is_some_and(|found| {
            (found.ip().to_canonical(), found.port()) == (address.ip().to_canonical(), address.port())
        })
    };
    let mut lines = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let line = lines.find(|fields| fields.len() > 7 && is(fields[1], client) && is(fields[2], service))?;
    line[7].parse().ok()
}

/// Parses an endpoint such as `0100007F:1CFC`: an address as 32-bit hex words in the machine's byte order, and a port.
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
            check(0xC002, Some(NOBODY));
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
