//! Range requests (RFC 9110 §14).

use harness::origin::Reply;

use crate::rig::Site;

/// A stored page of ten bytes.
fn digits() -> Site {
    let site = Site::with(
        "cache-control: max-age=60\ncontent-type: text/plain\netag: \"v\"\n\n0123456789",
    );
    site.get().is("stored");
    site
}

/// §14.1.2: "A client can limit the number of bytes requested without knowing the size of the selected
/// representation. If the last-pos value is absent, or if the value is greater than or equal to the current length
/// of the representation data, the byte range is interpreted as the remainder of the representation"
#[test]
fn ranges_are_cut_to_what_is_there() {
    let site = digits();
    for (range, text, stated) in [
        ("0-0", "0", "bytes 0-0/10"),
        ("2-4", "234", "bytes 2-4/10"),
        ("5-", "56789", "bytes 5-9/10"),
        ("5-100", "56789", "bytes 5-9/10"),
        ("0-99999999999999999999999", "0123456789", "bytes 0-9/10"),
    ] {
        let got = site
            .ask(&format!("range: bytes={range}"))
            .is("206 hit")
            .text(text);
        got.field("content-range", stated);
    }
}

/// §14.1.2: "A client can refer to the last N bytes (N > 0) of the selected representation using a suffix-range. If
/// the selected representation is shorter than the specified suffix-length, the entire representation is used."
#[test]
fn a_suffix_is_counted_from_the_end() {
    let site = digits();
    site.ask("range: bytes=-3")
        .is("206 hit")
        .text("789")
        .field("content-range", "bytes 7-9/10");
    site.ask("range: bytes=-100")
        .is("206 hit")
        .text("0123456789");
}

/// §14.1.1: "An int-range is a range expressed as two non-negative integers ... invalid if the last-pos value is
/// present and less than first-pos": the whole field is then ignored.
#[test]
fn an_invalid_range_is_ignored() {
    let site = digits();
    for range in [
        "bytes=5-4",
        "bytes=",
        "bytes=a-b",
        "bytes=1",
        "bytes=0-1,5-4",
    ] {
        site.ask(&format!("range: {range}"))
            .is("200 hit")
            .text("0123456789");
    }
    let site = digits();
    for range in ["bytes", "bytes=--1", "bytes=0-1-2", "bytes = 0-1"] {
        site.ask(&format!("range: {range}"))
            .is("200 hit")
            .text("0123456789");
    }
}

/// §14.2: "An origin server MUST ignore a Range header field that contains a range unit it does not understand."
#[test]
fn other_units_are_ignored() {
    let site = digits();
    site.ask("range: items=0-1")
        .is("200 hit")
        .text("0123456789");
    site.ask("range: Bytes=0-1").is("206 hit").text("01");
}

/// §14.2: "A server MUST ignore a Range header field received with a request method that is unrecognized or for which
/// range handling is not defined. For this specification, GET is the only method for which range handling is
/// defined."
#[test]
fn a_head_has_no_ranges() {
    digits()
        .send("HEAD", "", "range: bytes=0-1")
        .is("200 hit")
        .field("content-length", "10");
}

/// §14.2: "the Range header field is evaluated after evaluating the precondition header fields ... and only if the
/// result in absence of the Range header field would be a 200 (OK) response"
#[test]
fn only_a_200_has_parts() {
    for status in [404, 203, 410] {
        let site = Site::new().replies(&[&format!("{status}\ncache-control: max-age=60")]);
        site.get();
        site.ask("range: bytes=0-1")
            .is(&format!("{status} hit"))
            .text("page 1");
    }
}

/// §14.2: "A server that supports range requests MAY ignore or reject a Range header field that contains an
/// invalid ranges-specifier, a ranges-specifier with more than two overlapping ranges, or a set of many small ranges
/// that are not listed in ascending order"
#[test]
fn abusive_ranges_get_the_whole() {
    let site = Site::new().serves(|_| Reply::pattern(100_000).fresh_for(60));
    site.get();
    let many: Vec<_> = (0..17)
        .map(|n| format!("{}-{}", n * 1_000, n * 1_000 + 1))
        .collect();
    let overlapping = ["0-1000", "500-1500", "700-1700", "900-1900"];
    for ranges in [many.join(","), overlapping.join(",")] {
        let got = site.ask(&format!("range: bytes={ranges}")).is("200 hit");
        assert_eq!(got.answer.body.len(), 100_000);
    }
}

/// §14.2: a miss of a small page is fetched and kept whole, and answered with its part; only if it is a large one
/// does the range that is sent on matter.
#[test]
fn a_range_of_something_unknown_fetches_the_whole() {
    let site = Site::with("cache-control: max-age=60\n\n0123456789");
    site.ask("range: bytes=2-4").is("206 stored").text("234");
    assert_eq!(site.seen(1).header("range"), Some("bytes=0-1048575"));
    site.get().is("200 hit").text("0123456789").origin(1);
}

/// §14.3: Accept-Ranges of the origin is passed on.
#[test]
fn accept_ranges_passes() {
    let site = Site::with("cache-control: max-age=60\naccept-ranges: bytes");
    for _ in 0..2 {
        site.get().field("accept-ranges", "bytes");
    }
}

/// §14.4: "A Content-Range field value is invalid if it contains a range-resp that has a last-pos value less than its
/// first-pos value, or a complete-length value less than or equal to its last-pos value. The recipient of an invalid
/// Content-Range MUST NOT attempt to recombine the received content with a stored representation."
#[test]
fn an_invalid_content_range_joins_nothing() {
    for stated in [
        "bytes 5-4/10",
        "bytes 100000-399999/10",
        "junk",
        "items 100000-399999/400000",
        "bytes 0-9/400000",
    ] {
        let site = Site::new().serves(move |request| match request.nth {
            1 => Reply::pattern(400_000)
                .fresh_for(60)
                .header("etag", "\"v\"")
                .cut_after(100_000),
            _ => Reply::status(206, &"x".repeat(300_000))
                .header("etag", "\"v\"")
                .header("content-range", stated),
        });
        let first = site.get();
        assert!(first.answer.broken.is_some(), "{stated}");
        assert!(harness::pattern::matches(0, &first.answer.body), "{stated}");
    }
}

/// The parts of a multipart answer: Content-Range and text.
fn parts(answer: &harness::client::Answer) -> Vec<(String, String)> {
    let kind = answer.field("content-type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let body = answer.text();
    let closed = body
        .strip_suffix(&format!("\r\n--{boundary}--\r\n"))
        .unwrap();
    let delimiter = format!("--{boundary}\r\n");
    let parts = closed.split(&delimiter).skip(1);
    parts
        .map(|part| {
            let (head, text) = part.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("Content-Type: text/plain"), "{head}");
            let range = head.split("Content-Range: ").nth(1).unwrap();
            let text = text.strip_suffix("\r\n").unwrap_or(text);
            (range.trim().to_owned(), text.to_owned())
        })
        .collect()
}

/// A stored text of 1,000 bytes, in tens.
fn tens() -> Site {
    let text: String = (0..100).map(|n| format!("{n:010}")).collect();
    let site = Site::with(&format!(
        "cache-control: max-age=60\ncontent-type: text/plain\netag: \"v\"\n\n{text}"
    ));
    site.get().is("stored");
    site
}

/// §14.6: "When multiple parts are being transferred, the server generating the 206 response MUST generate
/// \"multipart/byteranges\" content"
#[test]
fn several_ranges_come_in_parts() {
    let site = tens();
    let got = site.ask("range: bytes=0-9,500-509,-10").is("206 hit");
    let expected = [
        ("bytes 0-9/1000", "0000000000"),
        ("bytes 500-509/1000", "0000000050"),
        ("bytes 990-999/1000", "0000000099"),
    ];
    let expected = expected.map(|(range, text)| (range.to_owned(), text.to_owned()));
    assert_eq!(parts(&got.answer), expected);
    assert_eq!(
        got.answer.field("content-length"),
        got.answer.body.len().to_string()
    );
}

/// §14.6: several parts of what is on its way for the first time: the whole is sent, as §14.2 allows.
#[test]
fn several_ranges_of_something_unknown_are_right_too() {
    let text: String = (0..100).map(|n| format!("{n:010}")).collect();
    let site = Site::with(&format!(
        "cache-control: max-age=60\ncontent-type: text/plain\n\n{text}"
    ));
    let got = site.ask("range: bytes=0-9,500-509").is("stored");
    match got.answer.status {
        200 => assert_eq!(got.answer.text(), text),
        _ => assert_eq!(parts(&got.answer).len(), 2),
    }
}

/// §15.3.7.2: "a server MUST NOT generate a Content-Range header field in the HTTP header section of a multiple part
/// response (this field will be sent in each part)"
#[test]
fn only_the_parts_say_their_range() {
    tens()
        .ask("range: bytes=0-9,500-509")
        .is("206 hit")
        .field("content-range", "");
}

/// §15.3.7.2: "Within the header area of each body part in the multipart content, the server MUST generate a
/// Content-Range header field corresponding to the range being enclosed in that body part. If the selected
/// representation would have had a Content-Type header field in a 200 (OK) response, the server SHOULD generate that
/// same Content-Type header field in the header area of each body part."
#[test]
fn every_part_says_what_it_is() {
    let site = tens();
    let got = site.ask("range: bytes=100-109,900-909").is("206 hit");
    let ranges: Vec<_> = parts(&got.answer)
        .into_iter()
        .map(|(range, _)| range)
        .collect();
    assert_eq!(ranges, ["bytes 100-109/1000", "bytes 900-909/1000"]);
}

/// §15.3.7.2: "When multiple ranges are requested, a server MAY coalesce any of the ranges that overlap, or that are
/// separated by a gap that is smaller than the overhead of sending multiple parts"
#[test]
fn near_ranges_become_one() {
    let site = tens();
    site.ask("range: bytes=0-9,20-29")
        .is("206 hit")
        .field("content-range", "bytes 0-29/1000");
    site.ask("range: bytes=0-19,10-29")
        .is("206 hit")
        .field("content-range", "bytes 0-29/1000");
}

/// §15.3.7.2: "A server that generates a multipart response to a request for a single range MUST NOT"
#[test]
fn a_single_range_is_never_multipart() {
    let site = tens();
    site.ask("range: bytes=0-9")
        .is("206 hit")
        .field("content-type", "text/plain");
    site.ask("range: bytes=0-9,5000-")
        .is("206 hit")
        .field("content-type", "text/plain")
        .text("0000000000");
}

/// §15.3.7.2: the parts come in the order asked for.
#[test]
fn parts_keep_their_order() {
    let site = tens();
    let got = site.ask("range: bytes=900-909,100-109").is("206 hit");
    let texts: Vec<_> = parts(&got.answer)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, ["0000000090", "0000000010"]);
}

/// §14.2, §13.1.5: several ranges under an If-Range that fails are the whole.
#[test]
fn if_range_holds_for_several_ranges() {
    let site = tens();
    site.ask("range: bytes=0-9,500-509\nif-range: \"v\"")
        .is("206 hit");
    let whole = site
        .ask("range: bytes=0-9,500-509\nif-range: \"w\"")
        .is("200 hit");
    assert_eq!(whole.answer.body.len(), 1_000);
}

/// §14.6: parts of a body that is too large for memory come from the disk.
#[test]
fn parts_of_a_large_body_are_right() {
    let site = Site::new().serves(|_| {
        Reply::pattern(20_000_000)
            .fresh_for(60)
            .header("content-type", "text/plain")
    });
    let whole = site.get().is("stored");
    assert_eq!(whole.answer.body.len(), 20_000_000);
    let got = site
        .ask("range: bytes=10-109,19999990-,10000000-10000099")
        .is("206 hit")
        .answer;
    for range in [10..110, 19_999_990..20_000_000, 10_000_000..10_000_100] {
        let bytes = harness::pattern::whole(range.clone());
        let found = got.body.windows(bytes.len()).any(|window| window == bytes);
        assert!(found, "{range:?}");
    }
}
