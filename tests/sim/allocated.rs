//! Bytes on the heap, counted per thread: what an engine weighs is what is given back when it is
//! dropped.
//!
//! A run stays on one thread, so the count of that thread is the run's own. Counting costs one
//! addition per allocation.
#![expect(
    unsafe_code,
    reason = "an allocator cannot be replaced without; it only counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

thread_local! {
    // Without a destructor, so that it may be used while a thread ends.
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Bytes this thread has taken and not given back, modulo the word: differences are what counts.
pub(crate) fn bytes() -> usize {
    BYTES.get()
}

/// Bytes that dropping `what` gives back.
pub(crate) fn weigh<T>(what: T) -> usize {
    let before = bytes();
    drop(what);
    before.wrapping_sub(bytes())
}

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get().wrapping_add(layout.size()));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub(layout.size()));
        // SAFETY: `place` came from `alloc` or `realloc` above with this layout.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.set(BYTES.get().wrapping_add(size).wrapping_sub(layout.size()));
        // SAFETY: `place` came from `alloc` or `realloc` above with this layout.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_weighs_what_it_took() {
        let thing = Box::new([7_u8; 4_096]);
        assert_eq!(weigh(thing), 4_096);
    }
}
