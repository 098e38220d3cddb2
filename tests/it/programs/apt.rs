//! Debian's apt over a mirror behind the proxy, twice: the second time the mirror is dead.
//!
//! apt asks as mirrors know it: ten requests on their way at once, `max-age=0` for lists, every file
//! checked against the digest that a signed list gives. So it is it that says whether bytes are right.

use std::fs;
use std::path::{Path, PathBuf};

use harness::cluster::Proxy;
use harness::exec::{self, Ran};
use harness::pattern;
use harness::place::Place;
use harness::skip;
use harness::web::{self, WebServer};

/// Packages, and the bytes of what is in each; one is a large body.
const PACKAGES: [(&str, u64); 5] = [
    ("atoll-one", 1_000),
    ("atoll-two", 40_000),
    ("atoll-three", 300_000),
    ("atoll-four", 5_000_000),
    ("atoll-five", 17),
];

const TOOLS: [&str; 5] = ["apt-get", "dpkg-deb", "dpkg-scanpackages", "gpg", "gpgv"];

async fn run(program: &str, args: &[&str], at: &Path) -> Ran {
    let mut command = exec::command(exec::find(program).unwrap());
    command.args(args).current_dir(at).env("LC_ALL", "C");
    // apt's own, instead of the machine's.
    command.env("APT_CONFIG", at.with_file_name("apt.conf"));
    exec::run(&mut command).await
}

/// A mirror of the packages below `root`, with its list signed. Gives the key, or nothing where that
/// cannot be made.
async fn mirror(place: &Place, root: &Path) -> Option<PathBuf> {
    for (name, bytes) in PACKAGES {
        let package = place.file(name);
        fs::create_dir_all(package.join("DEBIAN")).unwrap();
        fs::create_dir_all(package.join("usr/share").join(name)).unwrap();
        let control = format!(
            "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: {name}\n"
        );
        fs::write(package.join("DEBIAN/control"), control).unwrap();
        let content = package.join("usr/share").join(name).join("content");
        fs::write(content, pattern::whole(0..bytes)).unwrap();
        let (from, to) = (package.display().to_string(), root.display().to_string());
        // Not packed, so that it is as large as what is in it.
        let ran = run("dpkg-deb", &["-Znone", "--build", &from, &to], root).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    let packages = run("dpkg-scanpackages", &["-m", "."], root).await.ok();
    fs::write(root.join("Packages"), &packages).unwrap();
    let digest = run("sha256sum", &["Packages"], root).await.ok();
    let digest = digest.split(' ').next().unwrap();
    let release = format!(
        "Origin: atoll\nSuite: stable\nCodename: stable\nDate: Thu, 19 Nov 2020 00:00:00 UTC\n\
         SHA256:\n {digest} {} Packages\n",
        packages.len()
    );
    fs::write(root.join("Release"), release).unwrap();
    sign(place, root).await
}

async fn sign(place: &Place, root: &Path) -> Option<PathBuf> {
    let home = place.file("gnupg");
    fs::create_dir(&home).unwrap();
    let own = home.display().to_string();
    let gpg = ["--homedir", &own, "--batch", "--yes", "--passphrase", ""];
    let made = [
        &gpg[..],
        &["--quick-gen-key", "mirror@example.com", "rsa2048"],
    ]
    .concat();
    let ran = run("gpg", &made, root).await;
    if ran.code != Some(0) {
        skip::loudly(&format!("no key for a mirror: {}", ran.err.trim()));
        return None;
    }
    let signed = [&gpg[..], &["--clearsign", "-o", "InRelease", "Release"]].concat();
    assert_eq!(run("gpg", &signed, root).await.code, Some(0));
    let key = place.file("mirror.gpg");
    let path = key.display().to_string();
    let shown = [&gpg[..], &["--export", "-o", &path]].concat();
    assert_eq!(run("gpg", &shown, root).await.code, Some(0));
    let stopped = ["--homedir", &own, "--kill", "all"];
    if exec::find("gpgconf").is_some() {
        run("gpgconf", &stopped, root).await;
    }
    Some(key)
}

/// What apt, new to the world, brings home.
async fn fetched(place: &Place, proxy: &Proxy, url: &str, key: &Path) -> Vec<Vec<u8>> {
    let home = place.file("apt");
    let _ = fs::remove_dir_all(&home);
    for dir in [
        "lists/partial",
        "cache/archives/partial",
        "here",
        "etc/apt/preferences.d",
    ] {
        fs::create_dir_all(home.join(dir)).unwrap();
    }
    fs::write(home.join("status"), "").unwrap();
    let list = format!("deb [signed-by={}] {url} ./\n", key.display());
    fs::write(home.join("sources.list"), list).unwrap();
    let at = home.display();
    let config = format!(
        "Dir \"{at}\";\nDir::Etc::parts \"{at}/etc\";\nDir::Etc::main \"none\";\n\
         Dir::State \"{at}\";\nDir::State::status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n\
         Dir::Etc::SourceList \"{at}/sources.list\";\nDir::Etc::SourceParts \"-\";\n\
         Dir::Bin::methods \"/usr/lib/apt/methods\";\nAPT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\nAcquire::Retries \"0\";\n\
         Acquire::http::Proxy \"http://{}/\";\n",
        proxy.http
    );
    fs::write(home.join("apt.conf"), config).unwrap();
    let here = home.join("here");
    let updated = run("apt-get", &["update"], &here).await;
    assert_eq!(updated.code, Some(0), "{}{}", updated.out, updated.err);
    let said = format!("{}{}", updated.out, updated.err);
    assert!(!said.contains("W:") && !said.contains("Err:"), "{said}");
    let names = PACKAGES.map(|(name, _)| name);
    let ran = run("apt-get", &[&["download"], &names[..]].concat(), &here).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let read = |name| fs::read(here.join(format!("{name}_1_all.deb"))).unwrap();
    names.map(read).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apt_installs_from_a_mirror_that_is_dead() {
    if let Some(tool) = TOOLS.iter().find(|tool| exec::find(tool).is_none()) {
        return skip::loudly(&format!("no {tool} for a mirror of packages"));
    }
    let place = Place::shared().await;
    let root = place.file("mirror");
    fs::create_dir(&root).unwrap();
    let Some(key) = mirror(&place, &root).await else {
        return;
    };
    for file in fs::read_dir(&root).unwrap() {
        web::age(&file.unwrap().path());
    }
    let Some(server) = WebServer::nginx(&place, &root).await else {
        return;
    };
    let proxy = Proxy::alone(&place, &[]).await;
    let url = format!("http://{}/", harness::origin::coralised(server.addr));
    let first = fetched(&place, &proxy, &url, &key).await;
    for (deb, (_, bytes)) in first.iter().zip(PACKAGES) {
        assert!(deb.len() as u64 > bytes);
    }
    drop(server);
    let second = fetched(&place, &proxy, &url, &key).await;
    assert!(first == second);
}
