//! The program's allocator, and how often each thread allocates, for whoever looks for what a shard
//! allocates under load. The count is the thread's own: nothing that other cores see is written.

// A global allocator is an unsafe trait; these only count and pass on.
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

/// mimalloc, asked for blocks as a C program asks for them. Asked for the alignment as well, which
/// all but a few have anyway, it looks for a block that is longer by as much as it might have to be
/// moved wherever it has none at hand and the size is no power of two: 448 bytes at a multiple of 8
/// are then 512.
#[cfg(feature = "mimalloc")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Mimalloc;

/// The alignment that every block has, if it is as long: that of C's `max_align_t`.
#[cfg(feature = "mimalloc")]
const ALIGNED_ANYWAY: usize = 16;

#[cfg(feature = "mimalloc")]
fn is_aligned_anyway(align: usize, size: usize) -> bool {
    align <= ALIGNED_ANYWAY && align <= size
}

// SAFETY: mimalloc's functions do as C's do. A block of `malloc` is aligned for every type that is
// not larger than the block and asks for no more than `max_align_t`: it has 8 bytes or a multiple
// of 16, and the first of a page is at a multiple of 16, which a test below asks of every size. For
// others the alignment is said. Each function frees what any of them gave.
#[cfg(feature = "mimalloc")]
unsafe impl GlobalAlloc for Mimalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any power of two may be asked for.
        let block = unsafe {
            if is_aligned_anyway(align, size) {
                libmimalloc_sys::mi_malloc(size)
            } else {
                libmimalloc_sys::mi_malloc_aligned(size, align)
            }
        };
        block.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as for `alloc`.
        let block = unsafe {
            if is_aligned_anyway(align, size) {
                libmimalloc_sys::mi_zalloc(size)
            } else {
                libmimalloc_sys::mi_zalloc_aligned(size, align)
            }
        };
        block.cast()
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        // SAFETY: the pointer came from one of the others.
        unsafe { libmimalloc_sys::mi_free(pointer.cast()) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (pointer, align) = (pointer.cast(), layout.align());
        // SAFETY: the pointer came from one of the others.
        let block = unsafe {
            if is_aligned_anyway(align, size) {
                libmimalloc_sys::mi_realloc(pointer, size)
            } else {
                libmimalloc_sys::mi_realloc_aligned(pointer, size, align)
            }
        };
        block.cast()
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::System;

    use super::*;

    #[test]
    #[cfg(feature = "mimalloc")]
    fn blocks_are_aligned_as_asked_and_keep_what_is_in_them() {
        for (size, align) in (1..1_500).flat_map(|size| (0..13).map(move |bits| (size, 1 << bits)))
        {
            let layout = Layout::from_size_align(size, align).expect("a small one");
            let grown = Layout::from_size_align(size * 3, align).expect("a small one");
            // SAFETY: the layout has a size, and as many bytes are written and read; the pointer is
            // given back once, with the layout that it has by then.
            unsafe {
                let pointer = Mimalloc.alloc_zeroed(layout);
                assert!(pointer.addr().is_multiple_of(align), "{size} {align}");
                assert_eq!((*pointer, *pointer.add(size - 1)), (0, 0));
                pointer.write_bytes(7, size);
                let pointer = Mimalloc.realloc(pointer, layout, grown.size());
                assert!(pointer.addr().is_multiple_of(align), "{size} {align}");
                assert_eq!((*pointer, *pointer.add(size - 1)), (7, 7));
                let pointer = Mimalloc.realloc(pointer, grown, 1);
                assert!(pointer.addr().is_multiple_of(align), "{size} {align}");
                assert_eq!(*pointer, 7);
                let shrunk = Layout::from_size_align(1, align).expect("a small one");
                Mimalloc.dealloc(pointer, shrunk);
                let pointer = Mimalloc.alloc(layout);
                assert!(pointer.addr().is_multiple_of(align), "{size} {align}");
                Mimalloc.dealloc(pointer, layout);
            }
        }
    }

    #[test]
    #[cfg(feature = "mimalloc")]
    fn a_block_of_a_size_that_mimalloc_has_takes_no_more() {
        let layout = Layout::from_size_align(448, 8).expect("a small one");
        // SAFETY: the layout has a size; each pointer is given back once.
        unsafe {
            // Beside each other in one page, whichever way it hands them out.
            let mut places: Vec<_> = (0..20).map(|_| Mimalloc.alloc(layout)).collect();
            places.sort_unstable();
            let apart = places
                .windows(2)
                .map(|pair| pair[1].addr() - pair[0].addr());
            assert_eq!(apart.min(), Some(448));
            for pointer in places {
                Mimalloc.dealloc(pointer, layout);
            }
        }
    }

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
