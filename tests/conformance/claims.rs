//! What most requirements come down to: a response with these fields is reused, asked about, or not
//! kept at all. Each claim makes a site of its own.

use crate::rig::Site;

/// A response with these fields is stored and reused without asking again.
#[track_caller]
pub(crate) fn reused(fields: &str) {
    let site = Site::with(fields);
    assert!(site.get().is("200").cache().contains("stored"), "{fields}");
    let second = site.get();
    assert!(
        second.cache().contains("; hit"),
        "{fields}: {}",
        second.cache()
    );
    second.text("page 1").origin(1);
}

/// A response with these fields is not reused as it is: the origin is asked again.
#[track_caller]
pub(crate) fn asked_again(fields: &str) {
    let site = Site::with(fields);
    site.get();
    let second = site.get();
    assert!(
        !second.cache().contains("; hit"),
        "{fields}: {}",
        second.cache()
    );
    assert_eq!(site.count(), 2, "{fields}");
}

/// A response with these fields is not even kept: the next request carries no validator of it.
#[track_caller]
pub(crate) fn not_stored(fields: &str) {
    let site = Site::with(&format!("{fields}\netag: \"v\""));
    let first = site.get().cache();
    assert!(!first.contains("stored"), "{fields}: {first}");
    let second = site.get().text("page 2").cache();
    assert!(!second.contains("; hit"), "{fields}: {second}");
    assert_eq!(site.seen(2).header("if-none-match"), None, "{fields}");
}

/// A response with these fields is kept, but asked about with its validator before it is reused.
#[track_caller]
pub(crate) fn validated(fields: &str) {
    let site = Site::new().replies(&[
        &format!("{fields}\netag: \"v\""),
        &format!("304\n{fields}\netag: \"v\""),
    ]);
    site.get();
    let second = site.get().text("page 1").cache();
    assert!(second.contains("revalidated"), "{fields}: {second}");
    assert_eq!(
        site.seen(2).header("if-none-match"),
        Some("\"v\""),
        "{fields}"
    );
}
