//! Reads the secret of cookies from a file that only its owner may read.

use std::path::Path;

use common::shell::private_file::{self, PrivateFileError};

use crate::engine::cookie::Secrets;

/// Two lines of 32 digits, with room for blanks; whatever is longer is another file.
const FILE_MAX: u64 = 256;

/// The secrets in `path`: 32 hexadecimal digits make cookies, a second line of as many is still
/// accepted.
///
/// # Errors
/// The file cannot be read, others can read it too, or it holds something else. The text says which,
/// and never what the file contains.
pub fn load(path: &Path) -> Result<Secrets, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = private_file::read(path, FILE_MAX).map_err(|error| match error {
        PrivateFileError::Io(error) => wrong(&error),
        PrivateFileError::Mode(mode) => wrong(&format!(
            "others can read it (mode {mode:04o}): run chmod 600"
        )),
    })?;
    // What is no text has no digits either.
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let present = lines.next().and_then(digits);
    let previous = lines.next().map(digits);
    match (present, previous, lines.next()) {
        (Some(present), None, None) => Ok(Secrets::Fixed {
            present,
            previous: None,
        }),
        (Some(present), Some(Some(previous)), None) => Ok(Secrets::Fixed {
            present,
            previous: Some(previous),
        }),
        _ => Err(wrong(
            &"one or two lines of 32 hexadecimal digits are needed",
        )),
    }
}

fn digits(line: &str) -> Option<[u8; 16]> {
    let fits = line.len() == 32 && line.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u128::from_str_radix(line, 16).ok().filter(|_| fits)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_or_two_secrets_of_a_private_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cookies");
        let load_text = |text: &str, mode| {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            load(&path)
        };
        let (one, two) = (
            "e5e973e5a6b2a43f48e7dc849e37bfcf",
            "445536bcd2513298075a5d379663c962",
        );
        let read = load_text(&format!("{one}\n{two}\n"), 0o600).unwrap();
        let Secrets::Fixed { present, previous } = read else {
            panic!("fixed ones");
        };
        assert_eq!((present[0], previous.unwrap()[0]), (0xe5, 0x44));
        assert!(load_text(one, 0o600).is_ok());
        for text in [
            "",
            "e5e9",
            &one[1..],
            &format!("{one}\n{two}\n{one}"),
            &format!("+{}", &one[1..]),
        ] {
            let error = load_text(text, 0o600).unwrap_err();
            assert!(error.contains("32 hexadecimal digits"), "{error}");
        }
        assert!(load_text(one, 0o644).unwrap_err().contains("chmod 600"));
    }
}
