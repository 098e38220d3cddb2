//! Clients over TLS: real programs, and what no program of good will sends.

mod certificates;
mod clients;
mod endings;
mod strangers;

use std::net::SocketAddr;
use std::path::PathBuf;

use harness::authority::Authority;
use harness::cluster::{Proxy, set};
use harness::exec::{self, Ran};
use harness::origin::{Origin, ZONE};
use harness::place::{Place, Port, host};
use harness::resolver::Hosts;
use harness::skip;

/// The site that is fetched over TLS, and proxied over TLS.
const SITE: &str = "www.secure-site.com";

/// A proxy that speaks TLS, a site that does, and who both are believed by.
struct Rig {
    authority: Authority,
    /// The file of its certificate.
    root: PathBuf,
    /// Where the proxy's certificates are.
    certificates: PathBuf,
    origin: Origin,
    proxy: Proxy,
    https: SocketAddr,
    _hosts: Hosts,
    place: Place,
}

impl Rig {
    async fn start(sets: &[String]) -> Self {
        Self::at(Place::shared().await, sets).await
    }

    async fn at(place: Place, sets: &[String]) -> Self {
        let authority = Authority::new();
        let root = place.file("root.pem");
        std::fs::write(&root, authority.root()).unwrap();
        let certificates = place.file("certificates");
        std::fs::create_dir(&certificates).unwrap();
        let wildcard = [format!("*.{ZONE}"), ZONE.to_owned()];
        let wildcard = authority.certify(&[&wildcard[0], &wildcard[1]]);
        wildcard.write(&certificates, "zone");
        let at = place.at(host::ORIGIN, Port::Web);
        let origin = Origin::start_at(at, Some(authority.server(SITE))).await;
        let hosts = Hosts::start(&place, &[(SITE, at.ip())]).await;
        let https = place.at(host::NODE, Port::Https);
        let mut all = vec![
            set("https.listen", https),
            set("https.certificates", certificates.display()),
            set("origin.ca_file", root.display()),
            set("origin.resolvers", hosts.addr),
        ];
        all.extend_from_slice(sets);
        let proxy = Proxy::alone(&place, &all).await;
        Self {
            authority,
            root,
            certificates,
            origin,
            proxy,
            https,
            _hosts: hosts,
            place,
        }
    }

    /// The name under which clients ask for the site: the one that the wildcard covers.
    fn host(&self) -> String {
        let label = SITE.replace('-', "--").replace('.', "-");
        format!("{label}-{port}.{ZONE}", port = self.origin.addr.port())
    }

    /// `https://HOST:PORT/PATH` there.
    fn url(&self, path: &str) -> String {
        format!("https://{}:{}{path}", self.host(), self.https.port())
    }

    /// Runs curl with `args`, which know the proxy and its authority; the status and size are what
    /// it writes. `None`, said loudly, if there is no curl.
    async fn curl(&self, args: &[&str]) -> Option<Ran> {
        let curl = find("curl")?;
        let mut command = exec::command(curl);
        command.args(["-sS", "--noproxy", "*", "--max-time", "30"]);
        command.arg("--cacert").arg(&self.root);
        let to = format!("::{}:{}", self.https.ip(), self.https.port());
        command.args(["--connect-to", &to]);
        command.args(["-w", "%{http_code} %{http_version} %{size_download}"]);
        Some(exec::run(command.args(args)).await)
    }

    /// Runs `openssl s_client` with `args`, giving it `input`; all that it writes.
    async fn s_client(&self, args: &[&str], input: &str) -> Option<Ran> {
        let openssl = find("openssl")?;
        let script = format!(
            "printf '%s' \"$INPUT\" | timeout 20 \"$0\" s_client -connect {} -CAfile {} \"$@\"",
            self.https,
            self.root.display()
        );
        let mut command = exec::command("sh");
        command.args(["-c", &script]).arg(openssl).args(args);
        Some(exec::run(command.env("INPUT", input)).await)
    }

    /// A request for the site's page, which ends the connection.
    fn request(&self, path: &str) -> String {
        let host = self.host();
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    }
}

/// Where `program` is; said loudly if it is not.
fn find(program: &str) -> Option<PathBuf> {
    let found = exec::find(program);
    if found.is_none() {
        skip::loudly(&format!("no {program}"));
    }
    found
}
