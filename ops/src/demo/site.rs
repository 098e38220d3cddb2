//! The files of the demo site, carried in the program and written out where it starts.

use std::fs;
use std::io;
use std::path::Path;

/// Names and contents.
pub const FILES: [(&str, &str); 4] = [
    ("index.html", include_str!("site/index.html")),
    ("style.css", include_str!("site/style.css")),
    ("atoll.svg", include_str!("site/atoll.svg")),
    ("reef.txt", include_str!("site/reef.txt")),
];

/// Writes the site's files into `dir`.
///
/// # Errors
/// They cannot be written.
pub fn write(dir: &Path) -> io::Result<()> {
    FILES
        .iter()
        .try_for_each(|(name, content)| fs::write(dir.join(name), content))
}
