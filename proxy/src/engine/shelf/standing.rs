//! How the disk store stands, in figures.

use super::Shelf;
use super::entry::Name;
use super::place::Places;

impl Shelf {
    /// Bytes on disk, everything included.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Bytes that it may have.
    #[must_use]
    pub const fn budget(&self) -> u64 {
        self.budget
    }

    /// Records known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.objects
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Segments.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Bodies in files of their own.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Whether a record speaks of the file `id`.
    #[must_use]
    pub fn has_file(&self, id: u64) -> bool {
        self.files.contains_key(&id)
    }

    /// Bytes of memory that the index takes, about: the table at its capacity.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        let slot = size_of::<(Name, Places)>() as u64 + 1;
        // The table is at most seven eighths full.
        self.names.capacity() as u64 * 8 / 7 * slot
    }

    /// Responses on their way to disk.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}
