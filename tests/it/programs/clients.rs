//! curl, wget, Python's requests and ab, each asking a proxy in the ways of its own.

use std::fs;
use std::path::PathBuf;

use harness::cluster::Proxy;
use harness::exec::{self, Ran};
use harness::origin::{Origin, Reply};
use harness::pattern;
use harness::place::Place;
use harness::skip;

const FILE: u64 = 300_000;

/// Where `program` is; said loudly if it is not.
fn find(program: &str) -> Option<PathBuf> {
    let found = exec::find(program);
    if found.is_none() {
        skip::loudly(&format!("no {program}"));
    }
    found
}

/// An origin with a file whose parts can be asked for.
async fn origin(place: &Place) -> Origin {
    let origin = Origin::start(place).await;
    origin.serves("/file", |request| {
        Reply::pattern(FILE)
            .fresh_for(60)
            .header("last-modified", "Sun, 13 Sep 2020 12:26:40 GMT")
            .ranged_by("\"f1\"", request)
    });
    origin
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_asks_in_every_way_it_knows() {
    let Some(curl) = find("curl") else { return };
    let place = Place::shared().await;
    let origin = origin(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let into = place.file("out");
    let page = origin.page("/file");
    let run = async |args: &[&str]| -> Ran {
        let mut command = exec::command(&curl);
        command.args(["-sS", "--noproxy", "*", "--max-time", "30"]);
        command.arg("-H").arg(format!("Host: {}", page.host));
        command.arg("-o").arg(&into).args(args);
        command.args(["-w", "%{http_code} %{size_download}"]);
        let ran = exec::run(command.arg(format!("http://{}/file", proxy.http))).await;
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        ran
    };
    let whole = format!("200 {FILE}");
    for args in [&[][..], &["-0"], &["--compressed"], &["--tr-encoding"]] {
        assert_eq!(run(args).await.out, whole, "{args:?}");
        assert!(pattern::matches(0, &fs::read(&into).unwrap()), "{args:?}");
    }
    assert_eq!(run(&["-r", "1000-1999"]).await.out, "206 1000");
    assert!(pattern::matches(1_000, &fs::read(&into).unwrap()));
    let unchanged = run(&["-z", "Mon, 14 Sep 2020 00:00:00 GMT"]).await;
    assert_eq!(unchanged.out, "304 0");
    // Half of it is here: the rest is asked for and appended.
    fs::write(&into, pattern::whole(0..FILE / 2)).unwrap();
    let rest = format!("206 {}", FILE / 2);
    assert_eq!(run(&["-C", "-"]).await.out, rest);
    assert!(fs::read(&into).unwrap() == pattern::whole(0..FILE));
    assert_eq!(run(&["-I"]).await.out, "200 0");
    assert_eq!(origin.count("/file"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_as_to_a_proxy_gets_the_same_as_curl_as_to_a_server() {
    let Some(curl) = find("curl") else { return };
    let place = Place::shared().await;
    let origin = origin(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let into = place.file("out");
    let mut command = exec::command(&curl);
    command.args(["-sS", "--max-time", "30", "--proxy"]);
    command.arg(format!("http://{}", proxy.http));
    command.arg("-o").arg(&into);
    let url = format!("http://{}/file", origin.page("/file").host);
    let ran = exec::run(command.arg(url)).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(fs::read(&into).unwrap() == pattern::whole(0..FILE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wget_mirrors_a_site_and_resumes_a_file() {
    let Some(wget) = find("wget") else { return };
    let place = Place::shared().await;
    let origin = origin(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let mut index = String::new();
    for n in 0..20 {
        let path = format!("/img/{n}.png");
        index.push_str(&format!("<img src=\"img/{n}.png\">"));
        origin.serves(&path, move |_| Reply::pattern(1_000 + n).fresh_for(60));
    }
    let html = index.clone();
    origin.serves("/index.html", move |_| {
        let reply = Reply::page(html.clone()).fresh_for(60);
        reply.header("content-type", "text/html")
    });
    let host = origin.page("/").host;
    let run = async |args: &[&str], path: &str| {
        let mut command = exec::command(&wget);
        command.env("http_proxy", format!("http://{}", proxy.http));
        command.env_remove("no_proxy").current_dir(place.dir());
        command
            .args(["-nv", "--tries=1", "--timeout=30"])
            .args(args);
        let ran = exec::run(command.arg(format!("http://{host}{path}"))).await;
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    };
    run(
        &["-r", "-l1", "-p", "-nH", "-P", "mirror", "-e", "robots=off"],
        "/index.html",
    )
    .await;
    for n in 0..20 {
        let file = place.file("mirror").join(format!("img/{n}.png"));
        assert!(fs::read(file).unwrap() == pattern::whole(0..1_000 + n));
    }
    assert_eq!(
        fs::read_to_string(place.file("mirror/index.html")).unwrap(),
        index
    );
    fs::write(place.file("file"), pattern::whole(0..FILE / 3)).unwrap();
    run(&["-c"], "/file").await;
    assert!(fs::read(place.file("file")).unwrap() == pattern::whole(0..FILE));
    // It has all of it: 416 to its range, and wget is content.
    run(&["-c"], "/file").await;
}

const REQUESTS: &str = r#"
import sys, gzip, requests
proxy, host, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = requests.Session()
s.trust_env = False
url = f"http://{proxy}"
h = {"Host": host}
a = s.get(url + "/file", headers=h, timeout=20)
assert a.status_code == 200 and len(a.content) == size, (a.status_code, len(a.content))
b = s.get(url + "/file", headers=h | {"Range": "bytes=7-106"}, timeout=20)
assert b.status_code == 206 and b.content == a.content[7:107], b.status_code
c = s.get(url + "/file", headers=h | {"If-None-Match": a.headers["etag"]}, timeout=20)
assert c.status_code == 304 and c.content == b"", c.status_code
d = s.get(url + "/gzip", headers=h, timeout=20)
assert d.text == "packed " * 1000 and d.headers["content-encoding"] == "gzip"
e = s.head(url + "/file", headers=h, timeout=20)
assert e.status_code == 200 and e.headers["content-length"] == str(size)
with s.get(url + "/file", headers=h, stream=True, timeout=20) as f:
    assert b"".join(f.iter_content(4096)) == a.content
for n in range(50):
    g = s.get(url + "/file", headers=h, timeout=20)
    assert g.content == a.content and "; hit" in g.headers["cache-status"], g.headers
i = s.post(url + "/file", headers=h, data=b"x" * 1000, timeout=20)
assert i.status_code == 405, i.status_code
j = s.get(url + "/missing", headers=h, timeout=20)
assert j.status_code == 404
r = s.get(url + "/moved", headers=h, allow_redirects=False, timeout=20)
assert r.status_code == 301 and host in r.headers["location"], r.headers
print("all right")
"#;

/// A Python that has requests; one of several may.
async fn python_with_requests() -> Option<PathBuf> {
    let usual = PathBuf::from("/usr/bin/python3");
    let candidates = [exec::find("python3"), Some(usual)];
    for python in candidates.into_iter().flatten().filter(|p| p.is_file()) {
        let mut command = exec::command(&python);
        let ran = exec::run(command.args(["-c", "import requests"])).await;
        if ran.code == Some(0) {
            return Some(python);
        }
    }
    skip::loudly("no Python with requests");
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_python_keeps_its_session() {
    let Some(python) = python_with_requests().await else {
        return;
    };
    let place = Place::shared().await;
    let origin = origin(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/gzip", |_| {
        let reply = Reply::page(packed(&"packed ".repeat(1_000))).fresh_for(60);
        reply.header("content-encoding", "gzip")
    });
    let elsewhere = format!("http://{}/file", origin.addr);
    origin.serves("/moved", move |_| {
        Reply::status(301, "").header("location", &elsewhere)
    });
    let script = place.file("session.py");
    fs::write(&script, REQUESTS).unwrap();
    let mut command = exec::command(python);
    command.arg(script).arg(proxy.http.to_string());
    command.arg(origin.page("/").host).arg(FILE.to_string());
    let said = exec::run(&mut command).await.ok();
    assert_eq!(said.trim(), "all right");
    assert_eq!(origin.count("/file"), 1);
}

fn packed(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ab_keeps_its_connections_though_it_speaks_http_1_0() {
    let Some(ab) = find("ab") else { return };
    let place = Place::shared().await;
    let origin = origin(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let host = format!("Host: {}", origin.page("/file").host);
    for keep in [&["-k"][..], &[]] {
        let mut command = exec::command(&ab);
        command
            .args(["-n", "300", "-c", "20", "-H", &host])
            .args(keep);
        let said = exec::run(command.arg(format!("http://{}/file", proxy.http))).await;
        let said = said.ok();
        let figure = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim().to_owned())
        };
        assert_eq!(
            figure("Complete requests:").as_deref(),
            Some("300"),
            "{said}"
        );
        assert_eq!(figure("Failed requests:").as_deref(), Some("0"), "{said}");
        assert_eq!(figure("Non-2xx responses:"), None, "{said}");
        let length = format!("{FILE} bytes");
        assert_eq!(figure("Document Length:"), Some(length), "{said}");
        if !keep.is_empty() {
            let kept = figure("Keep-Alive requests:");
            assert_eq!(kept.as_deref(), Some("300"), "{said}");
        }
    }
    assert_eq!(origin.count("/file"), 1);
}
