//! Cache-Control: its grammar, and extensions (RFC 9111 §5.2, §5.2.3).

use crate::claims::{asked_again, not_stored, reused};
use crate::rig::Site;

/// §5.2: "A proxy, whether or not it implements a cache, MUST pass cache directives through in forwarded
/// messages, regardless of their significance to that application"
#[test]
fn directives_are_passed_on_in_both_directions() {
    let control = "max-age=60, s-maxage=30, unknown=\"a, b\", immutable";
    let site = Site::with(&format!("cache-control: {control}"));
    for _ in 0..2 {
        let answer = site
            .ask("cache-control: max-stale=5, unknown, min-fresh=1")
            .answer;
        assert_eq!(answer.field("cache-control"), control);
    }
    let seen = site.seen(1);
    assert_eq!(
        seen.header("cache-control"),
        Some("max-stale=5, unknown, min-fresh=1")
    );
    site.ask("pragma: no-cache");
    assert_eq!(site.seen(2).header("pragma"), Some("no-cache"));
}

/// §5.2: "Cache directives are unidirectional, in that the presence of a directive in a request does not
/// imply that the same directive is present or copied in the response."
#[test]
fn directives_of_a_request_are_not_copied_into_the_answer() {
    let site = Site::with("expires: Fri, 01 Jan 2100 00:00:00 GMT");
    site.ask("cache-control: max-age=5")
        .field("cache-control", "");
}

/// §5.2: "Cache directives are identified by a token, to be compared case-insensitively"
#[test]
fn names_of_directives_are_read_in_any_case() {
    reused("cache-control: MaX-aGe=60");
    reused("Cache-CONTROL: S-MAXAGE=60");
    not_stored("cache-control: No-Store, MAX-AGE=60");
    not_stored("cache-control: PRIVATE, max-age=60");
    asked_again("cache-control: NO-cache, max-age=60\netag: \"v\"");
}

/// §5.2: "and have an optional argument that can use both token and quoted-string syntax. For the
/// directives defined below that define arguments, recipients ought to accept both forms"
#[test]
fn arguments_may_be_quoted_or_not() {
    reused("cache-control: max-age=\"60\"");
    reused("cache-control: s-maxage=\"60\"");
    reused("cache-control: max-age=\"6\\0\"");
    let site = Site::with("cache-control: max-age=60, private=x-a, no-cache=x-b\nx-a: 1\nx-b: 2");
    site.get();
    site.get().is("hit").field("x-a", "").field("x-b", "");
}

/// §5.2: a directive inside a quoted string is none.
#[test]
fn quoted_text_holds_no_directives() {
    asked_again("cache-control: extension=\"max-age=3600\", max-age=0\netag: \"v\"");
    asked_again("cache-control: max-age=0, extension=\"max-age=3600\"\netag: \"v\"");
    reused("cache-control: extension=\"no-store, private\", max-age=60");
    reused("cache-control: extension=\"a\\\", no-store\", max-age=60");
}

/// §5.2: a stray quote hides no directive behind it.
#[test]
fn a_quote_that_never_ends_hides_nothing() {
    not_stored("cache-control: max-age=60, extension=\"oops, no-store");
    not_stored("cache-control: \"private, max-age=60, private");
}

/// §5.2: the field is a list: lines are joined, empty members and spaces mean nothing.
#[test]
fn spacing_and_lines_mean_nothing() {
    reused("cache-control: , ,max-age=60 ,\t, public,");
    reused("cache-control: public\ncache-control: \ncache-control: max-age=60");
    not_stored("cache-control: max-age=60\ncache-control:\t no-store\t ");
    reused("cache-control: max-age=0060");
}

/// §5.2: "no argument is defined (nor allowed) unless stated otherwise": a directive that restricts
/// counts even with one, one that permits does not.
#[test]
fn an_argument_that_is_not_allowed_errs_on_the_safe_side() {
    not_stored("cache-control: no-store=1, max-age=60");
    let site = Site::new().replies(&[
        "302\nlocation: /\ncache-control: public=1\nlast-modified: Mon, 07 Nov 1994 08:49:37 GMT",
    ]);
    site.get().is("302 !stored");
}

/// §5.2.3: "A cache MUST ignore unrecognized cache directives."
#[test]
fn unknown_directives_are_ignored() {
    reused("cache-control: foobar, max-age=60, community=\"UCI\", x=");
    not_stored("cache-control: private, community=\"UCI\", max-age=60");
    reused(
        "cache-control: no-storex, xno-store, max-age=60, max-agex=0, post-check=0, pre-check=0",
    );
    asked_again("cache-control: nothing-known\netag: \"v\"");
}
