//! Under which addresses the laptops of a room reach this machine.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Addresses of this machine's network interfaces and its name; the first address is the one to give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Not loopback, and IPv4 only, since people type them; but where the server listens at one address, that one. Empty without
    /// a network.
    pub ips: Vec<IpAddr>,
    /// As the machine calls itself, in lower case and without a dot; absent where that is no name for a host.
    pub name: Option<String>,
    /// Whether nothing else leads here, not even `localhost`.
    pub alone: bool,
}

impl Addresses {
    /// Of a server that listens at `bound`: at one address it is reached by no other, nor by a name that may stand for another.
    pub fn of(bound: IpAddr) -> Self {
        if bound.is_unspecified() {
            Self::find()
        } else {
            Self { ips: vec![bound.to_canonical()], name: None, alone: true }
        }
    }

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
        let ips = sorted(ips, preferred()).into_iter().map(IpAddr::V4).collect();
        Self { ips, name: name.as_deref().and_then(host_name), alone: false }
    }

    fn local_name(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("{name}.local"))
    }

    /// What a laptop may type as the host: addresses first, then `NAME.local`, which most home networks answer.
    pub fn hosts(&self) -> Vec<String> {
        let typed = |ip: &IpAddr| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        self.ips.iter().map(typed).chain(self.local_name()).collect()
    }

    /// The host by which the machine that serves reaches itself.
    pub fn own(&self) -> String {
        let first = self.hosts().into_iter().next();
        first.filter(|_| self.alone).unwrap_or_else(|| "localhost".to_owned())
    }

    /// Everything that the certificate is for, sorted: the hosts, the bare name, and this machine for itself.
    pub fn certified(&self) -> Vec<String> {
        let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let ips = self.ips.iter().map(IpAddr::to_string);
        let mut names: Vec<_> = ips.chain(self.local_name()).chain(self.name.clone()).chain(own).collect();
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
        let ips = vec![Ipv4Addr::new(192, 168, 1, 5).into()];
        let addresses = Addresses { ips, name: Some("desk".to_owned()), alone: false };
        assert_eq!(addresses.hosts(), ["192.168.1.5", "desk.local"]);
        assert_eq!(addresses.own(), "localhost");
        assert_eq!(
            addresses.certified(),
            ["127.0.0.1", "192.168.1.5", "::1", "desk", "desk.local", "localhost"]
        );
    }

    #[test]
    fn a_server_at_one_address_gives_out_no_other() {
        for (bound, host) in [
            ("10.0.0.9", "10.0.0.9"),
            ("::ffff:10.0.0.9", "10.0.0.9"),
            ("fd00::5", "[fd00::5]"),
            ("::1", "[::1]"),
        ] {
            let addresses = Addresses::of(bound.parse().unwrap());
            assert_eq!((addresses.hosts(), addresses.own().as_str()), (vec![host.to_owned()], host));
            assert!(addresses.certified().contains(&host.trim_matches(['[', ']']).to_owned()));
        }
        for every in ["0.0.0.0", "::"] {
            assert_eq!(Addresses::of(every.parse().unwrap()), Addresses::find());
        }
    }
}
