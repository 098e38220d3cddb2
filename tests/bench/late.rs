//! A crowd that comes while the first client is in the middle of a slow body: how long it waits for
//! its first byte, and how often the origin is asked.

use std::time::Duration;

use harness::client::Ask;
use harness::origin::{Origin, Reply};
use tokio::task::JoinSet;

use super::http::median;
use super::rivals::Rival;
use super::say;

const LATE: usize = 20;
const BODY: u64 = 1 << 20;

/// What the first client has when the others come.
const HERE: u64 = 256 << 10;

/// Measures and prints the table.
pub(crate) async fn measure(rivals: &[Rival], origin: &Origin) {
    say(&format!(
        "\nfirst byte for {LATE} late clients of 1 MiB that takes a second, a quarter of it here\n\
         {:<30} {:>10} {:>10} {:>10} {:>10} {:>16}\n",
        "", "framing", "median ms", "last ms", "whole", "origin requests"
    ));
    for (path, is_chunked) in [("/slow", false), ("/slow-chunked", true)] {
        origin.serves(path, move |_| {
            let pause = Duration::from_millis(60);
            let reply = Reply::pattern(BODY).fresh_for(3_600);
            let reply = reply.trickled(64 << 10, pause);
            if is_chunked { reply.chunked() } else { reply }
        });
        for rival in rivals.iter().filter(|rival| rival.is_cache) {
            let row = crowd(rival, origin, path).await;
            let framing = if is_chunked { "chunked" } else { "length" };
            say(&format!("{:<30} {framing:>10} {row}\n", rival.name));
        }
    }
}

async fn crowd(rival: &Rival, origin: &Origin, path: &str) -> String {
    let before = origin.count(path);
    let ask = Ask::of(rival.addr, &rival.page(path));
    let mut first = ask.open().await;
    first.skip(HERE).await;
    let mut clients = JoinSet::new();
    for _ in 0..LATE {
        let ask = ask.clone();
        clients.spawn(async move { ask.fetch().await });
    }
    let (answers, rest) = tokio::join!(clients.join_all(), first.finish_pattern());
    let is_whole = |length: u64| length == BODY;
    let mut whole = usize::from(rest.is_ok_and(is_whole));
    let mut waits = Vec::new();
    for answer in &answers {
        whole += usize::from(answer.broken.is_none() && is_whole(answer.body.len() as u64));
        waits.extend(answer.first_byte.map(|wait| wait.as_secs_f64() * 1e3));
    }
    let middle = median(&mut waits);
    let last = waits.last().copied().unwrap_or_default();
    let asked = origin.count(path) - before;
    format!(
        "{middle:>10.1} {last:>10.1} {whole:>7}/{} {asked:>16}",
        LATE + 1
    )
}
