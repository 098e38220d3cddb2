//! What counts as one site: the registrable domain, so that nobody gets more by inventing host names.

/// The site that `host` belongs to: its registrable domain by the public suffix list, or the host
/// itself where there is none (an address, a name under no known suffix).
#[must_use]
pub fn of(host: &str) -> &str {
    let address = host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if address || host.starts_with('[') {
        return host;
    }
    psl::domain_str(host).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn subdomains_are_one_site_and_customers_of_a_host_are_many() {
        for (host, site) in [
            ("www.example.com", "example.com"),
            ("a.b.c.example.co.uk", "example.co.uk"),
            ("alice.github.io", "alice.github.io"),
            ("com", "com"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("x.localhost", "x.localhost"),
        ] {
            assert_eq!(of(host), site, "{host}");
        }
    }
}
