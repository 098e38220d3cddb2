//! Where addresses are, by a file in MaxMind's format: GeoLite2 City, GeoIP2 City, DB-IP City and others
//! with `location.latitude` and `location.longitude`. Read into memory once; a newer one is read on
//! SIGHUP.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader};

use crate::engine::near::atlas::{Coordinates, Map};

/// Larger files are refused: the largest with cities of the world have some 150 MB.
const FILE_MAX: u64 = 1 << 30;

/// See the module.
pub struct MapFile {
    reader: Reader<Vec<u8>>,
}

impl fmt::Debug for MapFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapFile")
            .field("kind", &self.reader.metadata().database_type)
            .finish_non_exhaustive()
    }
}

impl MapFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is no such file; the text says which.
    pub fn read(path: &Path) -> Result<Self, String> {
        let said = |error: &dyn fmt::Display| format!("cannot read {}: {error}", path.display());
        let length = std::fs::metadata(path).map_err(|error| said(&error))?.len();
        if length > FILE_MAX {
            return Err(said(&format_args!("{length} bytes are too many for a map")));
        }
        let bytes = std::fs::read(path).map_err(|error| said(&error))?;
        let reader = Reader::from_source(bytes).map_err(|error| said(&error))?;
        Ok(Self { reader })
    }
}

impl Map for MapFile {
    fn locate(&self, address: IpAddr) -> Option<Coordinates> {
        // Whatever is wrong with a record, its addresses are simply not on the map.
        let record = self.reader.lookup(address).ok()?;
        let degrees = |which| {
            let path = [PathElement::Key("location"), PathElement::Key(which)];
            record.decode_path::<f64>(&path).ok().flatten()
        };
        Coordinates::new(degrees("latitude")?, degrees("longitude")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name)
    }

    #[test]
    fn a_file_of_another_implementation_is_read() {
        let map = MapFile::read(&file("places.mmdb")).unwrap();
        let place = |text: &str| map.locate(text.parse().unwrap());
        let km = |from: &str, to: &str| place(from).unwrap().distance(&place(to).unwrap());
        assert!((870.0..890.0).contains(&km("81.2.3.200", "2001:db8:81::7")));
        assert!((8_900.0..8_950.0).contains(&km("81.2.3.1", "133.11.9.9")));
        for nowhere in ["198.51.100.1", "203.0.113.1", "9.9.9.9", "2001:db8::1"] {
            assert_eq!(place(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn what_is_no_map_is_refused_with_its_name() {
        for (name, said) in [("README.md", "README.md"), ("none.mmdb", "none.mmdb")] {
            let error = MapFile::read(&file(name)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn damaged_files_are_refused_or_know_less_and_nothing_worse() {
        let whole = std::fs::read(file("places.mmdb")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("damaged.mmdb");
        let look = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            if let Ok(map) = MapFile::read(&path) {
                for text in ["81.2.3.1", "127.0.0.4", "2001:db8:81::1", "203.0.113.9"] {
                    let _ = map.locate(text.parse().unwrap());
                }
            }
        };
        for length in (0..whole.len()).step_by(7) {
            look(&whole[..length]);
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            look(&bytes);
        }
    }
}
