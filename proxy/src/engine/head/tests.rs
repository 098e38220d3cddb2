//! Heads as attackers write them, and as honest clients do.

use proptest::prelude::*;

use super::*;

fn scan(head: &[u8]) -> Progress {
    Scanner::default().scan(head)
}

fn fault(head: &str) -> Option<HeadFault> {
    match scan(head.as_bytes()) {
        Progress::Refused(RefuseReason::Head(fault)) => Some(fault),
        _ => None,
    }
}

#[test]
fn honest_heads_pass_whole() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        "GET http://a.nyud.net/x?y=%zz HTTP/1.0\r\nUser-Agent: it's \"me\" \x07\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\nX-Empty:\r\n\r\n",
        "GET /[]|{}\\^ HTTP/1.1\r\nHost:a\r\ncontent-length: 0\r\n\r\n",
    ] {
        let want = Progress::Complete {
            len: head.len(),
            body: false,
        };
        assert_eq!(scan(head.as_bytes()), want, "{head:?}");
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    use HeadFault as F;
    for (fields, want) in [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            F::LengthAndCoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            F::LengthAndCoding,
        ),
        ("Content-Length: 5\r\nContent-Length: 6", F::Lengths),
        ("Content-Length: 5\r\nContent-Length: 5", F::Lengths),
        ("Content-Length: 5, 5", F::Length),
        ("Content-Length: +5", F::Length),
        ("Content-Length: -1", F::Length),
        ("Content-Length: 0x5", F::Length),
        ("Content-Length: 5 5", F::Length),
        ("Content-Length:", F::Length),
        ("Content-Length: \x0b5", F::Length),
        ("Content-Length: 18446744073709551616", F::Length),
        ("Content-Length : 5", F::SpaceBeforeColon),
        ("Content-Length\t: 5", F::SpaceBeforeColon),
        ("Transfer-Encoding: xchunked", F::Coding),
        ("Transfer-Encoding: chunked, identity", F::Coding),
        ("Transfer-Encoding: identity", F::Coding),
        ("Transfer-Encoding: gzip, chunked", F::Coding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            F::Coding,
        ),
        ("Transfer-Encoding: \x0bchunked", F::Coding),
        ("Transfer-Encoding: \"chunked\"", F::Coding),
        ("Transfer-Encoding: chunked;q=1", F::Coding),
        ("Transfer-Encoding:", F::Coding),
        ("Transfer-Encoding : chunked", F::SpaceBeforeColon),
        ("Transfer-Encoding:\r\n chunked", F::Coding),
        ("X: y\r\n Transfer-Encoding: chunked", F::Folded),
        ("X: y\r\n\tz", F::Folded),
        ("X: y\rTransfer-Encoding: chunked", F::BareCr),
        ("X: y\r\r\nZ: a", F::BareCr),
        ("X: y\0z", F::Nul),
        ("X\0: y", F::Nul),
        ("no colon", F::FieldName),
        (": nameless", F::FieldName),
        ("X(): y", F::FieldName),
        ("X\u{e4}: y", F::FieldName),
        ("\"Transfer-Encoding\": chunked", F::FieldName),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        assert_eq!(fault(&head), Some(want), "{fields:?}");
        // Nor does it help to be the first field, or to end lines with a bare LF.
        let head = format!("GET / HTTP/1.1\n{}\n\n", fields.replace("\r\n", "\n"));
        let got = fault(&head);
        assert!(
            got == Some(want) || fields.contains("\r\r"),
            "{fields:?}: {got:?}"
        );
    }
    let old = "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(fault(old), Some(F::Coding));
}

#[test]
fn a_first_line_has_three_parts_and_a_version_of_ours() {
    use HeadFault as F;
    for (line, want) in [
        ("GET  / HTTP/1.1", F::RequestLine),
        ("GET / HTTP/1.1 ", F::RequestLine),
        (" GET / HTTP/1.1", F::RequestLine),
        ("GET\t/ HTTP/1.1", F::RequestLine),
        ("GET /a b HTTP/1.1", F::RequestLine),
        ("GET /", F::RequestLine),
        ("G(T / HTTP/1.1", F::RequestLine),
        ("GET /\x01 HTTP/1.1", F::RequestLine),
        ("GET / http/1.1", F::RequestLine),
        ("GET / HTTP/2.0", F::Version),
        ("PRI * HTTP/2.0", F::Version),
        ("GET / HTTP/1.2", F::Version),
        ("GET / HTTP/01.1", F::Version),
        ("GET * HTTP/1.1", F::Asterisk),
    ] {
        assert_eq!(
            fault(&format!("{line}\r\nHost: a\r\n\r\n")),
            Some(want),
            "{line:?}"
        );
    }
}

#[test]
fn bounds_are_said_before_the_head_is_whole() {
    let long = format!("GET /{}", "a".repeat(TARGET_MAX + LINE_EXTRA));
    assert_eq!(
        scan(long.as_bytes()),
        Progress::Refused(RefuseReason::UrlTooLong)
    );
    let large = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_MAX));
    assert_eq!(
        scan(large.as_bytes()),
        Progress::Refused(RefuseReason::FieldsTooLarge)
    );
    let blank = "\r\n".repeat(HEAD_MAX);
    assert!(matches!(scan(blank.as_bytes()), Progress::Refused(_)));
    let many = "X: y\r\n".repeat(FIELDS_MAX);
    let most = format!("GET / HTTP/1.1\r\n{many}");
    assert!(matches!(
        scan(format!("{most}\r\n").as_bytes()),
        Progress::Complete { .. }
    ));
    let over = format!("{most}Z: y\r\n");
    assert_eq!(
        scan(over.as_bytes()),
        Progress::Refused(RefuseReason::FieldsTooLarge)
    );
}

#[test]
fn a_body_is_noticed_and_a_large_one_refused_where_it_would_be_read() {
    let head = |method: &str, field: &str| {
        scan(format!("{method} / HTTP/1.1\r\n{field}\r\n\r\n").as_bytes())
    };
    assert!(matches!(
        head("GET", "Content-Length: 5"),
        Progress::Complete { body: true, .. }
    ));
    assert!(matches!(
        head("GET", "Transfer-Encoding: Chunked"),
        Progress::Complete { body: true, .. }
    ));
    let large = format!("Content-Length: {}", BODY_MAX + 1);
    assert_eq!(
        head("GET", &large),
        Progress::Refused(RefuseReason::BodyTooLarge)
    );
    // Who posts is told where to, however much it is.
    assert!(matches!(
        head("POST", &large),
        Progress::Complete { body: true, .. }
    ));
}

#[test]
fn what_follows_the_head_is_not_looked_at() {
    let two = b"GET / HTTP/1.1\r\n\r\nGET /2\0";
    assert_eq!(
        scan(two),
        Progress::Complete {
            len: 18,
            body: false
        }
    );
}

proptest! {
    #[test]
    fn pieces_are_judged_like_the_whole(
        head in "(GET|POST|\r\n)? ?/?(\\*|[a-z]{0,3}) HTTP/1.[01](\r\n|\n|\r)([XT]: ?[a-z\t]{0,3}(\r\n|\n|\r\n )){0,4}(Content-Length: [0-9]{1,2}\r\n)?\r?\n?.{0,4}",
        cut in 0_usize..200,
    ) {
        let bytes = head.as_bytes();
        let mut scanner = Scanner::default();
        let first = scanner.scan(&bytes[..cut.min(bytes.len())]);
        let pieced = if first == Progress::More { scanner.scan(bytes) } else { first };
        prop_assert_eq!(pieced, scan(bytes));
    }

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = scan(&bytes);
    }
}
