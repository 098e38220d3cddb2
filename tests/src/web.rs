//! Real web servers over a real directory tree, and curl as a real client.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::client::Page;
use crate::daemon::Daemon;
use crate::exec;
use crate::origin::coralised;
use crate::pattern;
use crate::place::{Place, Port, host};
use crate::skip;
use crate::wait::{self, SOON};

/// A web server that others wrote.
#[derive(Debug)]
pub struct WebServer {
    /// What it is called.
    pub name: &'static str,
    /// Where it listens.
    pub addr: SocketAddr,
    _daemon: Daemon,
}

/// Makes a tree of files of many sizes and kinds of names below `root`; gives their paths in it.
#[must_use]
pub fn tree(root: &Path) -> Vec<String> {
    let sizes = [
        ("index.html", 1_024),
        ("empty", 0),
        ("one", 1),
        ("style.css", 4_097),
        ("img/logo.png", 41_984),
        ("img/deep/er/photo.jpg", 900_000),
        ("a name with spaces.txt", 333),
        ("download/disk.iso", 12_345_678),
    ];
    for (path, size) in sizes {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, pattern::whole(0..size)).unwrap();
    }
    sizes
        .map(|(path, _)| format!("/{}", path.replace(' ', "%20")))
        .to_vec()
}

/// Gives a file a date long past, so that a cache may take it for lasting (RFC 9111 §4.2.2).
pub fn age(file: &Path) {
    let date = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let file = File::options().append(true).open(file).unwrap();
    file.set_modified(date).unwrap();
}

/// The file that `path`, as [`tree`] gave it, stands for.
#[must_use]
pub fn file(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/').replace("%20", " "))
}

impl WebServer {
    /// Python's `http.server` over `root`. `None`, and said loudly, where there is no Python.
    pub async fn python(place: &Place, root: &Path) -> Option<Self> {
        let Some(python) = exec::find("python3") else {
            skip::loudly("no python3 for a real web server");
            return None;
        };
        let addr = place.at(host::ORIGIN, Port::Web);
        let (port, ip) = (addr.port().to_string(), addr.ip().to_string());
        let root = root.to_str().unwrap();
        let args = [
            "-m",
            "http.server",
            &port,
            "--bind",
            &ip,
            "--directory",
            root,
        ];
        let daemon = Daemon::start_other("python", &python, &args, place.dir());
        Some(Self::up("Python's http.server", addr, daemon).await)
    }

    /// nginx over `root`. `None`, and said loudly, where there is none.
    pub async fn nginx(place: &Place, root: &Path) -> Option<Self> {
        Self::nginx_with(place, &format!("root {};", root.display())).await
    }

    /// nginx with `directives` in its server block. `None`, and said loudly, where there is none.
    pub async fn nginx_with(place: &Place, directives: &str) -> Option<Self> {
        let Some(nginx) = exec::find("nginx") else {
            skip::loudly("no nginx for a real web server");
            return None;
        };
        let addr = place.at(host::ORIGIN + 50, Port::Web);
        let mime = Path::new("/etc/nginx/mime.types");
        let types = match mime.is_file() {
            true => format!("include {};", mime.display()),
            false => String::new(),
        };
        let config = place.file("nginx.conf");
        let own = place.dir().display();
        let text = format!(
            "daemon off; master_process off; pid {own}/nginx.pid; error_log stderr;\n\
             events {{}}\n\
             http {{ {types} access_log off; client_body_temp_path {own}/b; proxy_temp_path {own}/p;\n\
             fastcgi_temp_path {own}/f; uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;\n\
             server {{ listen {addr}; {directives} }} }}\n"
        );
        fs::write(&config, text).unwrap();
        let args = [
            "-c",
            config.to_str().unwrap(),
            "-p",
            place.dir().to_str().unwrap(),
        ];
        let daemon = Daemon::start_other("nginx", &nginx, &args, place.dir());
        Some(Self::up("nginx", addr, daemon).await)
    }

    /// Apache over `root`, with `directives` after what it needs. `None`, and said loudly, where
    /// there is none.
    pub async fn apache(place: &Place, root: &Path, directives: &str) -> Option<Self> {
        let modules = Path::new("/usr/lib/apache2/modules");
        let Some(apache) = exec::find("apache2").filter(|_| modules.is_dir()) else {
            skip::loudly("no Apache for a real web server");
            return None;
        };
        // It serves as a user of its own, who has to find the way.
        fs::set_permissions(place.dir(), Permissions::from_mode(0o755)).unwrap();
        let addr = place.at(host::ORIGIN + 51, Port::Web);
        let loaded = [
            "mpm_event",
            "authz_core",
            "mime",
            "dir",
            "filter",
            "deflate",
        ];
        let mut text = format!(
            "ServerName origin.test\nListen {addr}\nServerRoot {own}\nPidFile {own}/apache.pid\n\
             ErrorLog /dev/stderr\nLogLevel crit\nDefaultRuntimeDir {own}\nDocumentRoot {root}\n",
            own = place.dir().display(),
            root = root.display(),
        );
        for module in loaded {
            let file = modules.join(format!("mod_{module}.so"));
            text.push_str(&format!("LoadModule {module}_module {}\n", file.display()));
        }
        text.push_str("TypesConfig /etc/mime.types\nUser nobody\nGroup nogroup\n");
        text.push_str(directives);
        let config = place.file("apache.conf");
        fs::write(&config, text).unwrap();
        // One process, so that nothing is left behind when it is killed.
        let args = ["-X", "-f", config.to_str().unwrap()];
        let daemon = Daemon::start_other("apache", &apache, &args, place.dir());
        Some(Self::up("Apache", addr, daemon).await)
    }

    /// PHP's own server, which gives every request to `script`. `None`, and said loudly, where
    /// there is no PHP.
    pub async fn php(place: &Place, script: &str) -> Option<Self> {
        let Some(php) = exec::find("php") else {
            skip::loudly("no PHP for a real web server");
            return None;
        };
        let addr = place.at(host::ORIGIN + 52, Port::Web);
        let file = place.file("page.php");
        fs::write(&file, script).unwrap();
        let at = addr.to_string();
        let args = ["-q", "-S", &at, file.to_str().unwrap()];
        let daemon = Daemon::start_other("php", &php, &args, place.dir());
        Some(Self::up("PHP", addr, daemon).await)
    }

    async fn up(name: &'static str, addr: SocketAddr, daemon: Daemon) -> Self {
        let listens = async || tokio::net::TcpStream::connect(addr).await.is_ok();
        wait::until(&format!("{name} listens"), SOON, listens).await;
        Self {
            name,
            addr,
            _daemon: daemon,
        }
    }

    /// The page `path` as a client of the CDN names it.
    #[must_use]
    pub fn page(&self, path: &str) -> Page {
        Page::new(&coralised(self.addr), path)
    }
}

/// Fetches `page` from `proxy` with `curl -v` into `into`; gives what curl said of it. `None`, and
/// said loudly, where there is no curl.
pub async fn curl(proxy: SocketAddr, page: &Page, into: &Path) -> Option<String> {
    let Some(curl) = exec::find("curl") else {
        skip::loudly("no curl");
        return None;
    };
    let mut command = exec::command(curl);
    command.args([
        "-v",
        "-sS",
        "--noproxy",
        "*",
        "--max-time",
        "30",
        "--output",
    ]);
    command
        .arg(into)
        .arg("-H")
        .arg(format!("Host: {}", page.host));
    command.arg(format!("http://{proxy}{}", page.path));
    let ran = exec::run(&mut command).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    Some(ran.err)
}
