//! Chromium on a page with fifty assets, through the coralised name of its site.

use bytes::Bytes;
use harness::browser::{self, COUNTER};
use harness::cluster::Proxy;
use harness::exec;
use harness::origin::{Origin, Reply, coralised};
use harness::place::Place;

const SCRIPTS: usize = 15;
const STYLES: usize = 10;
const IMAGES: usize = 25;

/// A picture of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// The page and what it is made of; some assets by relative link, some by the site's own address.
fn furnish(origin: &Origin) -> Vec<String> {
    let mut page = format!("<!doctype html><html><head>{COUNTER}");
    let mut paths = Vec::new();
    let mut add = |path: String, kind: &str, body: Bytes| {
        let kind = kind.to_owned();
        origin.serves(&path, move |_| {
            let reply = Reply::page(body.clone()).fresh_for(600);
            reply.header("content-type", &kind)
        });
        paths.push(path);
    };
    for n in 0..STYLES {
        page.push_str(&format!("<link rel=stylesheet href='/css/{n}.css'>"));
        let body = format!("#s{n} {{ color: rgb({n}, 0, 0) }}");
        add(format!("/css/{n}.css"), "text/css", body.into());
    }
    page.push_str("</head><body>");
    for n in 0..IMAGES {
        page.push_str(&format!("<img src='img/{n}.gif'>"));
        add(
            format!("/img/{n}.gif"),
            "image/gif",
            Bytes::from_static(PIXEL),
        );
    }
    for n in 0..SCRIPTS {
        page.push_str(&format!("<script src='./js/{n}.js?v={n}'></script>"));
        let body = format!("document.body.append('js{n} ')");
        add(format!("/js/{n}.js?v={n}"), "text/javascript", body.into());
    }
    page.push_str("</body></html>");
    add("/".to_owned(), "text/html; charset=utf-8", page.into());
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_loads_a_page_with_fifty_assets_and_the_site_is_asked_once_for_each() {
    let Some(chromium) = browser::find() else {
        return;
    };
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let paths = furnish(&origin);
    for visit in 0..2 {
        let profile = place.file(&format!("profile{visit}"));
        let mut command = exec::command(&chromium);
        browser::dump(&mut command, &profile);
        let map = format!("--host-resolver-rules=MAP *.nyud.test {}", proxy.http.ip());
        command.arg(map);
        let host = coralised(origin.addr);
        let url = format!("http://{host}:{}/", proxy.http.port());
        let ran = exec::run(command.arg(url)).await;
        let all = browser::all_loaded(paths.len() - 1);
        assert!(
            ran.out.contains(&all),
            "visit {visit}:\n{}\n{}",
            ran.out,
            ran.err
        );
        for n in 0..SCRIPTS {
            assert!(ran.out.contains(&format!("js{n} ")), "{}", ran.out);
        }
    }
    for path in &paths {
        assert_eq!(origin.count(path), 1, "{path}");
    }
}
