//! No client takes a part, or a mixture, for the whole; nor does the store.

use super::*;

const KEEP: &str = "Cache-Control: max-age=60\r\n";

/// The same answer twice: as it arrived and as it was kept, if it was.
async fn twice(answers: Answers) -> (Origin, Got, Got) {
    let (ctx, origin) = (proxy(), Origin::start(answers).await);
    let first = get(&ctx, &origin, &[]).await;
    let second = get(&ctx, &origin, &[]).await;
    (origin, first, second)
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_count() {
    let both = |_, _: &str| {
        format!(
            "HTTP/1.1 200 OK\r\n{KEEP}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
             b\r\nhello world\r\n0\r\n\r\n"
        )
    };
    let (_, first, second) = twice(both).await;
    for got in [first, second] {
        assert_eq!(got.body.unwrap(), "hello world");
    }
}

#[tokio::test]
async fn a_coding_of_transfer_that_was_not_asked_for_is_an_error() {
    let coded = |_, _: &str| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nGZIP!\r\n0\r\n\r\n".into()
    };
    let (_, first, _) = twice(coded).await;
    assert_eq!(first.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_length_said_twice_is_said_once_to_the_client() {
    let twice_said =
        |_, _: &str| format!("HTTP/1.1 200 OK\r\n{KEEP}Content-Length: 2, 2\r\n\r\nhi");
    let (_, first, second) = twice(twice_said).await;
    for got in [first, second] {
        assert_eq!(got.field("content-length"), Some("2"));
        assert_eq!(got.body.unwrap(), "hi");
    }
}

#[tokio::test]
async fn a_second_answer_shorter_than_what_is_here_does_not_complete_it() {
    let shrinking = |n, _: &str| {
        let chunks = if n == 1 {
            "14\r\naaaaaaaaaaaaaaaaaaaa\r\n"
        } else {
            "5\r\naaaaa\r\n0\r\n\r\n"
        };
        format!("HTTP/1.1 200 OK\r\n{KEEP}Transfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    let (_, first, second) = twice(shrinking).await;
    assert!(first.body.is_err(), "a part was sent as the whole");
    assert_eq!(second.body.unwrap(), "aaaaa");
}

/// Ten bytes of version 1, then the rest of version 2 whatever If-Range says.
fn changing(n: usize, head: &str) -> String {
    if head.contains("range: bytes=10-") {
        return format!(
            "HTTP/1.1 206 Partial Content\r\n{KEEP}ETag: \"v2\"\r\nContent-Length: 10\r\n\
             Content-Range: bytes 10-19/20\r\n\r\n2222222222"
        );
    }
    let body = if n == 1 {
        "1111111111"
    } else {
        "22222222222222222222"
    };
    format!("HTTP/1.1 200 OK\r\n{KEEP}ETag: \"v{n}\"\r\nContent-Length: 20\r\n\r\n{body}")
}

#[tokio::test]
async fn two_versions_are_never_joined() {
    let (_, first, second) = twice(changing).await;
    assert!(first.body.is_err(), "{:?}", first.body);
    assert_eq!(second.body.unwrap(), "22222222222222222222");
}

#[tokio::test]
async fn the_rest_of_the_same_version_is() {
    let same = |_, head: &str| {
        if head.contains("range: bytes=2-") {
            assert!(head.contains("if-range: \"v\""), "{head}");
            return format!(
                "HTTP/1.1 206 Partial Content\r\n{KEEP}ETag: \"v\"\r\nContent-Length: 3\r\n\
                 Content-Range: bytes 2-4/5\r\n\r\nllo"
            );
        }
        format!("HTTP/1.1 200 OK\r\n{KEEP}ETag: \"v\"\r\nContent-Length: 5\r\n\r\nhe")
    };
    let (origin, first, second) = twice(same).await;
    assert_eq!(first.body.unwrap(), "hello");
    assert_eq!((second.body.unwrap(), origin.asked()), ("hello".into(), 2));
}

#[tokio::test]
async fn no_length_is_said_where_there_is_none() {
    let empty = |_, _: &str| format!("HTTP/1.1 204 No Content\r\n{KEEP}\r\n");
    let (_, first, second) = twice(empty).await;
    for got in [first, second] {
        assert_eq!(
            (got.status.as_u16(), got.field("content-length")),
            (204, None),
            "9110 8.6"
        );
    }
    let chunked = |_, _: &str| "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into();
    let (ctx, origin) = (proxy(), Origin::start(chunked).await);
    let got = ask(&ctx, &origin, "HEAD", &[]).await;
    assert_eq!(
        got.field("content-length"),
        None,
        "the length of a body that did not come"
    );
}
