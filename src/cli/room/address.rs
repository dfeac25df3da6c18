//! Under which addresses the laptops of a room reach this machine.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Addresses of this machine's network interfaces and its name; the first address is the one to give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Not loopback; IPv4 only, since people type them. Empty without a network.
    pub ips: Vec<Ipv4Addr>,
    /// As the machine calls itself, in lower case and without a dot; absent where that is no name for a host.
    pub name: Option<String>,
}

impl Addresses {
    /// Asks the operating system.
    pub fn find() -> Self {
        let found = if_addrs::get_if_addrs().unwrap_or_default();
        let ips = found
            .iter()
            .filter_map(|interface| match interface.ip() {
                IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_unspecified() => Some(ip),
                _ => None,
            })
            .collect();
        let name = hostname::get().ok().and_then(|name| name.into_string().ok());
        Self { ips: sorted(ips, preferred()), name: name.as_deref().and_then(host_name) }
    }

    /// What a laptop may type as the host: addresses first, then `NAME.local`, which most home networks answer.
    pub fn hosts(&self) -> Vec<String> {
        let names = self.name.iter().map(|name| format!("{name}.local"));
        self.ips.iter().map(Ipv4Addr::to_string).chain(names).collect()
    }

    /// Everything that the certificate is for, sorted: the hosts, the bare name, and this machine for itself.
    pub fn certified(&self) -> Vec<String> {
        let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut names: Vec<_> = self.hosts().into_iter().chain(self.name.clone()).chain(own).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// The address of the interface that leads out of here. Nothing is sent: connecting a UDP socket only looks up the route.
fn preferred() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address for documents, which nobody has.
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}

/// The one that leads out of here, then those of private networks, then the others; link-local ones, which an interface gives
/// itself when nobody answers, last.
fn sorted(mut ips: Vec<Ipv4Addr>, preferred: Option<Ipv4Addr>) -> Vec<Ipv4Addr> {
    ips.sort_by_key(|ip| (Some(*ip) != preferred, ip.is_link_local(), !ip.is_private(), *ip));
    ips.dedup();
    ips
}

/// The first label of a host name, if it is one: letters, digits and inner hyphens.
fn host_name(name: &str) -> Option<String> {
    let label = name.split('.').next()?.to_ascii_lowercase();
    let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let good = plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    (good && label != "localhost").then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_give_out_comes_first() {
        let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let all =
            ["169.254.7.7", "172.17.0.1", "198.51.100.7", "192.168.1.5", "192.168.1.5"].map(ip).to_vec();
        let texts = |ips: Vec<Ipv4Addr>| ips.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(sorted(all.clone(), Some(ip("192.168.1.5")))),
            ["192.168.1.5", "172.17.0.1", "198.51.100.7", "169.254.7.7"]
        );
        assert_eq!(texts(sorted(all, None)), ["172.17.0.1", "192.168.1.5", "198.51.100.7", "169.254.7.7"]);
    }

    #[test]
    fn a_name_that_is_no_host_name_is_left_out() {
        for (name, expected) in [
            ("Desk", Some("desk")),
            ("desk-2.example.org", Some("desk-2")),
            ("localhost", None),
            ("", None),
            ("-x", None),
            ("Annas Laptop", None),
            ("a\"><script>", None),
        ] {
            assert_eq!(host_name(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_certificate_names_this_machine_too() {
        let addresses = Addresses { ips: vec![Ipv4Addr::new(192, 168, 1, 5)], name: Some("desk".to_owned()) };
        assert_eq!(addresses.hosts(), ["192.168.1.5", "desk.local"]);
        assert_eq!(
            addresses.certified(),
            ["127.0.0.1", "192.168.1.5", "::1", "desk", "desk.local", "localhost"]
        );
    }
}
