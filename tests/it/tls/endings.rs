//! How connections and bodies end over TLS.

use harness::origin::{Gate, Reply};
use harness::pattern;
use harness::wait::{self, EVENTUALLY, SOON, within};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_broke_off_never_ends_cleanly() {
    let rig = Rig::start(&[]).await;
    rig.origin.serves("/cut", |_| {
        Reply::pattern(100_000).until_close().cut_after(50_000)
    });
    let connector = rig.authority.client(&[]);
    let stream = TcpStream::connect(rig.https).await.unwrap();
    let name = rig.host().try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    // To a client of version 1.0 the end of the connection is the end of the body.
    let host = rig.host();
    let request = format!("GET /cut HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    let read = within("it ends", SOON, stream.read_to_end(&mut got)).await;
    assert!(read.is_err(), "a clean end after {} bytes", got.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_is_finished_when_the_proxy_ends() {
    let mut rig = Rig::start(&[]).await;
    let gate = Gate::new();
    let held = gate.clone();
    rig.origin.serves("/held", move |_| {
        Reply::pattern(100_000)
            .held_after(50_000, &held)
            .fresh_for(60)
    });
    let connector = rig.authority.client(&["http/1.1"]);
    let open = async || {
        let stream = TcpStream::connect(rig.https).await.unwrap();
        let name = rig.host().try_into().unwrap();
        connector.connect(name, stream).await.unwrap()
    };
    let (mut idle, mut busy) = (open().await, open().await);
    busy.write_all(rig.request("/held").as_bytes())
        .await
        .unwrap();
    let mut got = vec![0; 20_000];
    within("it begins", SOON, busy.read_exact(&mut got))
        .await
        .unwrap();
    rig.proxy.daemon.signal(Signal::TERM);
    let mut rest = Vec::new();
    let ended = within("the idle one ends", SOON, idle.read_to_end(&mut rest)).await;
    assert!(
        ended.is_ok() && rest.is_empty(),
        "with close_notify: {ended:?}"
    );
    gate.open();
    within("it ends", EVENTUALLY, busy.read_to_end(&mut got))
        .await
        .unwrap();
    let at = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(got[at..] == pattern::whole(0..100_000));
    wait::until("the proxy has ended", SOON, async || {
        !rig.proxy.daemon.runs()
    })
    .await;
}
