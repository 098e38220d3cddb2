//! The reader against single deviations, truncation at every byte, and every way to cut its input.

use bytes::BytesMut;
use http::Version;
use proptest::prelude::*;

use super::head::HEAD_MAX;
use super::reader::{Close, INTERIMS_MAX};
use super::*;
use crate::engine::reason::FailReason;

type Fields = Vec<(String, Vec<u8>)>;

/// What became of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Outcome {
    head: Option<(u16, Fields, bool)>,
    body: Vec<u8>,
    end: Result<bool, FailReason>,
}

/// Feeds `data` in pieces of the sizes that `cuts` gives, then ends the connection.
fn read(data: &[u8], mut cuts: impl FnMut() -> usize, is_head: bool, close: Close) -> Outcome {
    let (mut reader, mut buf) = (Reader::new(is_head), BytesMut::new());
    let mut outcome = Outcome {
        head: None,
        body: Vec::new(),
        end: Err(FailReason::Broken),
    };
    let mut rest = data;
    loop {
        match reader.next(&mut buf) {
            Ok(Some(Event::Interim(head))) => {
                assert!(head.status.is_informational() && outcome.head.is_none());
            }
            Ok(Some(Event::Head(head))) => {
                assert!(outcome.head.is_none(), "a second head");
                let fields = head.headers.iter();
                let fields = fields
                    .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                    .collect();
                outcome.head = Some((head.status.as_u16(), fields, head.form.doubtful));
            }
            Ok(Some(Event::Data(bytes))) => {
                assert!(!bytes.is_empty() && outcome.head.is_some());
                outcome.body.extend_from_slice(&bytes);
            }
            Ok(Some(Event::End)) => {
                // What is still to come counts as left over, however it would have arrived.
                outcome.end = Ok(reader.may_be_reused(buf.len() + rest.len()));
                return outcome;
            }
            Err(why) => {
                outcome.end = Err(FailReason::Unclear(why));
                return outcome;
            }
            Ok(None) if rest.is_empty() => {
                outcome.end = reader.close(close).map(|()| false);
                return outcome;
            }
            Ok(None) => {
                let (piece, left) = rest.split_at(cuts().clamp(1, rest.len()));
                buf.extend_from_slice(piece);
                rest = left;
            }
        }
    }
}

fn whole(data: &[u8]) -> Outcome {
    read(data, || usize::MAX, false, Close::Clean)
}

fn body(data: &str) -> Result<String, FailReason> {
    let outcome = whole(data.as_bytes());
    let text = String::from_utf8_lossy(&outcome.body).into_owned();
    outcome.end.map(|_| text)
}

#[test]
fn a_well_formed_exchange_leaves_its_connection_for_the_next() {
    for good in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ] {
        assert_eq!(whole(good.as_bytes()).end, Ok(true), "{good:?}");
    }
    for once in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ] {
        assert_eq!(whole(once.as_bytes()).end, Ok(false), "{once:?}");
    }
}

#[test]
fn chunk_sizes_that_parsers_read_differently_are_refused() {
    let of = |chunks: &str| {
        body(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ))
    };
    for (chunks, text) in [
        ("5\nhello\n0\n\n", "hello"),
        (" 5 \r\nhello\r\n0\r\n\r\n", "hello"),
        ("005;ext=\"a;b\"\r\nhello\r\n00\r\n\r\n", "hello"),
        ("5\r\nhello\r\n0\r\n", "hello"),
        ("5\r\nhello\r\n0\r\nX: y\r\n", "hello"),
    ] {
        assert_eq!(of(chunks), Ok(text.to_owned()), "{chunks:?}");
    }
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(chunked::LINE_MAX));
    for chunks in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5\rx\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        &long,
    ] {
        assert_eq!(
            of(chunks),
            Err(FailReason::Unclear(Unclear::Chunk)),
            "{chunks:?}"
        );
    }
    for chunks in [
        "",
        "5",
        "5\r\nhel",
        "5\r\nhello",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0",
    ] {
        assert_eq!(of(chunks), Err(FailReason::Truncated), "{chunks:?}");
    }
}

#[test]
fn an_endless_trailer_is_given_up_but_not_the_content() {
    let trailer = "X: y\r\n".repeat(chunked::TRAILER_MAX / 6 + 1);
    let data =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{trailer}");
    let outcome = whole(data.as_bytes());
    assert_eq!((outcome.body, outcome.end), (b"ok".to_vec(), Ok(false)));
}

#[test]
fn heads_have_bounds() {
    let unclear = |data: String| whole(data.as_bytes()).end;
    let field = "X: y\r\n";
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        field.repeat(fields::FIELDS_MAX + 1)
    );
    assert_eq!(
        unclear(many),
        Err(FailReason::Unclear(Unclear::TooManyFields))
    );
    let most = format!(
        "HTTP/1.1 204 OK\r\n{}\r\n",
        field.repeat(fields::FIELDS_MAX)
    );
    assert_eq!(unclear(most), Ok(true));
    let large = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(HEAD_MAX));
    assert_eq!(
        unclear(large),
        Err(FailReason::Unclear(Unclear::HeadTooLarge))
    );
    let interims = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let some = interims.repeat(INTERIMS_MAX) + "HTTP/1.1 204 OK\r\n\r\n";
    assert_eq!(unclear(some), Ok(true));
    assert_eq!(
        unclear(interims.repeat(INTERIMS_MAX + 1)),
        Err(FailReason::Unclear(Unclear::Interims))
    );
}

#[test]
fn a_close_that_says_cut_ends_nothing() {
    let data = b"HTTP/1.1 200 OK\r\n\r\nhalf a page";
    let cut = read(data, || usize::MAX, false, Close::Cut);
    assert_eq!(cut.end, Err(FailReason::Truncated));
    assert_eq!(whole(data).end, Ok(false));
}

#[test]
fn versions_beyond_ours_count_as_ours() {
    for (line, version) in [
        ("HTTP/1.0", Version::HTTP_10),
        ("HTTP/1.2", Version::HTTP_11),
        ("HTTP/2", Version::HTTP_11),
        ("HTTP/0.9", Version::HTTP_10),
        ("ICY", Version::HTTP_10),
    ] {
        let text = format!("{line} 200 OK\r\n\r\n");
        assert_eq!(
            head::read(text.as_bytes(), false).unwrap().version,
            version,
            "{line}"
        );
    }
}

/// Parts of responses, good and bad, from which odd ones are put together.
const SCRAPS: [&str; 34] = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200\n",
    "http/1.1 404 x\r\n",
    "ICY 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "<html>",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    ":",
    "Content-Length: 5\r\n",
    "Content-Length: 3\n",
    "Content-Length : 5\r\n",
    "content-length:\r\n 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Cache-Control: max-age=60\r\n",
    "Cache Control: private\r\n",
    "junk\r\n",
    "X: y\r\n folded\r\n",
    "5\r\nhello\r\n",
    "5\nhello\n",
    "0\r\n",
    "0\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
    "hello",
    "\u{ff}",
    "\r\n\r\n",
];

fn response() -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop_oneof![
        8 => prop::sample::select(&SCRAPS[..]).prop_map(|scrap| scrap.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    (any::<bool>(), prop::collection::vec(scrap, 0..14)).prop_map(|(good, scraps)| {
        let start: &[u8] = if good { b"HTTP/1.1 200 OK\r\n" } else { b"" };
        [start, &scraps.concat()].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_cut_of_the_input_gives_the_same(
        data in response(),
        cuts in prop::collection::vec(1_usize..9, 1..40),
        is_head: bool,
    ) {
        let want = read(&data, || usize::MAX, is_head, Close::Clean);
        let mut sizes = cuts.iter().cycle().copied();
        let got = read(&data, || sizes.next().unwrap_or(1), is_head, Close::Clean);
        prop_assert_eq!(&got, &want);
        prop_assert_eq!(read(&data, || 1, is_head, Close::Clean), want);
    }

    #[test]
    fn no_truncation_of_a_framed_body_passes_for_whole(
        content in prop::collection::vec(any::<u8>(), 1..200),
        chunk in 1_usize..50,
        is_chunked: bool,
    ) {
        let mut data = b"HTTP/1.1 200 OK\r\n".to_vec();
        let mut least = 0;
        if is_chunked {
            data.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in content.chunks(chunk) {
                data.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                data.extend_from_slice(piece);
                data.extend_from_slice(b"\r\n");
            }
            data.extend_from_slice(b"0\r\n\r\n");
            // The last chunk's line says that all content was sent before it.
            least += 2;
        } else {
            let head = format!("Content-Length: {}\r\n\r\n", content.len());
            data.extend_from_slice(head.as_bytes());
            data.extend_from_slice(&content);
        }
        let outcome = whole(&data);
        prop_assert_eq!((&outcome.body, outcome.end), (&content, Ok(true)));
        for end in 0..data.len() - least {
            for close in [Close::Clean, Close::Cut] {
                let cut = read(&data[..end], || usize::MAX, false, close);
                prop_assert!(cut.end.is_err(), "whole after {} of {}", end, data.len());
                prop_assert!(content.starts_with(&cut.body));
            }
        }
    }
}
