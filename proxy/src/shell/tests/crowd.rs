//! Many at once: everybody is answered, and the origin is asked as seldom as can be.

use std::future::poll_fn;

use super::*;

/// Asks once per item of `crowd`, all at once.
async fn all(ctx: &Arc<Context>, origin: &Origin, crowd: &[(&str, String)]) -> Vec<StatusCode> {
    let mut asking: Vec<_> = crowd
        .iter()
        .map(|(name, value)| {
            let fields = [(*name, value.as_str())];
            Box::pin(async move { get(ctx, origin, &fields).await.status })
        })
        .collect();
    let mut done = vec![None; asking.len()];
    poll_fn(|cx| {
        for (asking, done) in asking.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(status) = asking.as_mut().poll(cx)
            {
                *done = Some(status);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

fn okay(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{headers}\r\nhi")
}

#[tokio::test]
async fn every_variant_is_fetched_once_and_nobody_fails() {
    let vary = |_, _: &str| okay("Cache-Control: max-age=60\r\nVary: Accept-Language\r\n");
    let (ctx, origin) = (proxy(), Origin::start(vary).await);
    let crowd: Vec<_> = (0..40)
        .map(|n| ("accept-language", format!("l{}", n % 10)))
        .collect();
    let got = all(&ctx, &origin, &crowd).await;
    assert!(got.iter().all(StatusCode::is_success), "{got:?}");
    assert_eq!(origin.asked(), 10);
}

#[tokio::test]
async fn who_forbids_storing_waits_for_nobody() {
    let (ctx, origin) = (
        proxy(),
        Origin::start(|_, _| okay("Cache-Control: max-age=60\r\n")).await,
    );
    let crowd = vec![("cache-control", "no-store".to_owned()); 12];
    let got = all(&ctx, &origin, &crowd).await;
    assert!(got.iter().all(StatusCode::is_success), "{got:?}");
    let crowd = vec![("authorization", "x".to_owned()); 12];
    let got = all(&ctx, &origin, &crowd).await;
    assert!(got.iter().all(StatusCode::is_success), "{got:?}");
}

#[tokio::test]
async fn an_error_of_the_origin_answers_the_whole_crowd() {
    let down = |_, _: &str| "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno".into();
    let (ctx, origin) = (proxy(), Origin::start(down).await);
    let crowd = vec![("accept", "*/*".to_owned()); 20];
    for asked in 1..3 {
        let got = all(&ctx, &origin, &crowd).await;
        assert!(got.iter().all(|status| status.as_u16() == 503), "{got:?}");
        assert_eq!(origin.asked(), asked);
    }
}

#[tokio::test]
async fn an_odd_request_does_not_make_a_page_unshareable() {
    let picky = |_, head: &str| {
        if head.contains("application/odd") {
            return "HTTP/1.1 406 No\r\nContent-Length: 2\r\n\r\nno".into();
        }
        okay("Cache-Control: max-age=60\r\n")
    };
    let (ctx, origin) = (proxy(), Origin::start(picky).await);
    let odd = get(&ctx, &origin, &[("accept", "application/odd")]).await;
    assert_eq!(odd.status.as_u16(), 406);
    let crowd = vec![("accept", "*/*".to_owned()); 20];
    all(&ctx, &origin, &crowd).await;
    assert_eq!(origin.asked(), 2);
}

#[tokio::test]
async fn a_confirmation_that_makes_it_private_ends_its_sharing() {
    let turning = |_, head: &str| {
        if head.contains("if-none-match") {
            let fields = "ETag: \"a\"\r\nCache-Control: private, max-age=60\r\n";
            return format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n");
        }
        okay("ETag: \"a\"\r\nCache-Control: max-age=0\r\n")
    };
    let (ctx, origin) = (proxy(), Origin::start(turning).await);
    get(&ctx, &origin, &[]).await;
    for asked in 2..5 {
        let got = get(&ctx, &origin, &[]).await;
        assert_eq!((got.body.unwrap(), origin.asked()), ("hi".into(), asked));
    }
}

#[tokio::test]
async fn a_fetch_that_dies_takes_nobody_with_it() {
    use super::super::fill::Asker;
    use super::super::fill::Fill;
    use super::super::task::Task;
    use crate::engine::flow::{Ask, Lookup};
    use crate::engine::http::key::{PrimaryKey, Scheme};
    use crate::engine::reason::FailReason;

    let ctx = proxy();
    let asker = Asker {
        key: PrimaryKey::new(Scheme::Http, "example.com", 80, "/"),
        method: http::Method::GET,
        headers: http::HeaderMap::new(),
        version: http::Version::HTTP_11,
        hints: None,
        track: None,
    };
    let ask = Ask {
        key: &asker.key,
        method: &asker.method,
        headers: &asker.headers,
    };
    let Lookup::Start(fill, plan) = ctx.flow().lookup(ctx.now(), ask, Fill::new) else {
        panic!("nothing is kept or under way");
    };
    drop(Task::new(
        Arc::clone(&ctx),
        Arc::clone(&fill),
        plan,
        asker.clone(),
    ));
    let answer = timeout(DEADLINE, fill.answer()).await.unwrap();
    assert_eq!(answer.unwrap_err().reason, FailReason::Abandoned);
    assert_eq!(ctx.flow().filling(), 0);
}

/// Each miss has one, and what it is made from is copied with it.
#[test]
fn a_fetch_has_no_room_for_what_few_need() {
    use super::super::task::Task;

    const fn room<T, F>(_: &impl Fn(T) -> F) -> usize {
        size_of::<F>()
    }
    let bytes = room(&|task: &'static mut Task| task.run());
    assert!(bytes <= 3 << 10, "{bytes}");
}
