//! Memory, or the end of the process: no allocation fails.
//! `benches/side-by-side` chose mimalloc: less CPU per request than the system's allocator. Two things are ours, and why mimalloc is
//! called without the crate that wraps it:
//! - A program that runs out of memory ends either way, but the standard library may unwind on its way there, so whatever is to be put
//!   into a box has to stand ready outside of it until the memory is there, and is copied into it then: 14 KiB for every request,
//!   the frame's future. Where the compiler sees that no allocation comes back without memory, it builds such a value in its place.
//! - Nearly every block has the alignment that mimalloc's shortest way keeps anyway; the wrapper takes the way of the others for all.
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait, and mimalloc is C; no block is looked into here")]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::io::{self, Write};
use std::process;

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

/// mimalloc without its way of saying no.
pub(crate) struct Allocator;

/// Blocks that are no smaller than their alignment come aligned to this without being asked (mimalloc's `MI_MAX_ALIGN_SIZE`, and its
/// `mi_malloc_is_naturally_aligned`).
const NATURAL: usize = 16;

// SAFETY: blocks come from mimalloc alone, of the size and alignment asked for (by `is_natural`, or because it is asked for both), and
// go back to it alone. Nothing here unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: mimalloc takes any size, and any power of two as alignment.
        given(unsafe { if is_natural(size, align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) } }, size)
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as in `alloc`.
        given(unsafe { if is_natural(size, align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) } }, size)
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller gives back a block that came from here, once.
        unsafe { mi_free(block.cast()) }
    }

    #[inline(always)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align): (*mut c_void, usize) = (block.cast(), layout.align());
        // SAFETY: as in `alloc` and `dealloc`.
        given(
            unsafe {
                if is_natural(size, align) { mi_realloc(block, size) } else { mi_realloc_aligned(block, size, align) }
            },
            size,
        )
    }
}

#[inline(always)]
fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

#[inline(always)]
fn given(block: *mut c_void, size: usize) -> *mut u8 {
    if block.is_null() {
        no_memory(size);
    }
    block.cast()
}

/// Ends the process with the standard library's words, by SIGABRT. Of the C kind, since those never unwind.
#[cold]
extern "C" fn no_memory(size: usize) -> ! {
    let _ = writeln!(io::stderr(), "memory allocation of {size} bytes failed");
    process::abort()
}

#[cfg(test)]
#[test]
fn blocks_of_every_size_and_alignment_hold_what_was_asked() {
    use std::alloc::{alloc, alloc_zeroed, dealloc, realloc};

    for align in (0..13).map(|power| 1_usize << power) {
        for size in (1..200_usize).chain([1023, 1024, 1025, 4096, 14_168, 65_536, 1 << 20]) {
            let [layout, tripled, half] =
                [size, size * 3, size.div_ceil(2)].map(|size| Layout::from_size_align(size, align).unwrap());
            // SAFETY: sizes are not 0; blocks are read and written within their size and given back with their layout.
            unsafe {
                let zeroed = alloc_zeroed(layout);
                assert!(zeroed.addr().is_multiple_of(align) && (0..size).all(|at| zeroed.add(at).read() == 0));
                let block = alloc(layout);
                assert!(block.addr().is_multiple_of(align), "{size} aligned to {align}");
                block.write_bytes(7, size);
                let grown = realloc(block, layout, tripled.size());
                assert!(grown.addr().is_multiple_of(align) && (0..size).all(|at| grown.add(at).read() == 7));
                let shrunk = realloc(grown, tripled, half.size());
                assert!(shrunk.addr().is_multiple_of(align) && shrunk.read() == 7);
                dealloc(shrunk, half);
                dealloc(zeroed, layout);
            }
        }
    }
}
