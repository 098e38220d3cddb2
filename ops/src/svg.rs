//! What all pictures share.

/// Text as it may stand in a picture: names come from operators' settings, outcomes from other nodes.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
