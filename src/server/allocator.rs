//! How often each thread allocates, for whoever looks for what a shard allocates under load. The
//! count is the thread's own: nothing that other cores see is written.

// A global allocator is an unsafe trait; this one only counts and passes on.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Allocations of the calling thread since its start, growing ones among them; 0 unless the
/// program's allocator is a [`Counted`].
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// An allocator that counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted<A>(pub A);

impl<A> Counted<A> {
    fn count() {
        // Without a destructor it can be read and written as long as the thread lives.
        ALLOCATIONS.set(ALLOCATIONS.get().wrapping_add(1));
    }
}

// SAFETY: every call goes to the inner allocator with the caller's arguments unchanged; the counter
// is a thread-local without a destructor and does not allocate.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from one of the others, so from the inner allocator.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: as for `dealloc`, and the caller keeps the contract of `realloc`.
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::System;

    use super::*;

    #[test]
    fn what_asks_for_memory_is_counted_and_what_gives_it_back_is_not() {
        let allocator = Counted(System);
        let layout = Layout::new::<[u64; 4]>();
        let before = allocations();
        // SAFETY: the layout has a size; the pointer is given back once, with the layout that it
        // has by then.
        unsafe {
            let pointer = allocator.alloc_zeroed(layout);
            assert!(!pointer.is_null());
            let pointer = allocator.realloc(pointer, layout, 64);
            let grown = Layout::from_size_align(64, layout.align()).expect("a small one");
            allocator.dealloc(pointer, grown);
            allocator.dealloc(allocator.alloc(layout), layout);
        }
        assert_eq!(allocations() - before, 3);
    }
}
