//! Intel AMX tiles: sixteen by sixteen sums of bf16 products in one instruction, eight times the throughput of vectors.
//!
//! There are eight tile registers of sixteen rows of 64 bytes: 16 f32, or 16 pairs of bf16. One step multiplies a tile
//! of rows (pairs of a row side by side) with a tile of lines (pairs of a column side by side) and adds the result to a
//! tile of sums (Intel, *Architecture Instruction Set Extensions*, TDPBF16PS). Compilers only offer this through
//! assembly so far. Linux grants the registers to processes that ask for them; on other systems they are not used.

use super::bf16::{COLUMNS, Line, Pair};

/// Rows per tile, and pairs per row.
pub(super) const SIDE: usize = 16;
/// Rows of sums computed together: two tiles.
const TALL: usize = 2 * SIDE;

/// Whether the CPU has tiles and the system lets this process use them.
pub(super) use system::has_tiles;

/// Tile registers configured on this thread; released on drop.
pub(super) struct Tiles {
    /// Not `Send`: the registers belong to the thread.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Tiles {
    /// `None`: the CPU has no tiles, or the system does not let this process use them.
    pub fn new() -> Option<Self> {
        if !system::has_tiles() {
            return None;
        }
        system::set_up();
        Some(Self { _thread: std::marker::PhantomData })
    }

    /// `out (+)= a * lines`. `a`: `[rows, pairs]`, padded with rows of zeros to whole tiles; `lines`: `[pairs]`, also
    /// whole tiles; `out`: `rows` rows that begin `stride` apart, as wide as the last one.
    ///
    /// # Panics
    /// If the sizes do not match.
    pub fn multiply(&self, a: &[Pair], lines: &[Line], out: &mut [f32], rows: usize, stride: usize, add: bool) {
        let pairs = lines.len();
        let width = out.len() - (rows - 1) * stride;
        assert!(a.len() == rows.next_multiple_of(SIDE) * pairs && width <= COLUMNS, "a tile's sizes fit");
        for first in (0..rows).step_by(TALL) {
            let count = TALL.min(rows - first);
            let whole = count.next_multiple_of(SIDE);
            let a = &a[first * pairs..(first + whole) * pairs];
            let out = &mut out[first * stride..(first + count - 1) * stride + width];
            if width == COLUMNS && count == whole {
                system::multiply(a, lines, out, stride, add);
                continue;
            }
            // Whole tiles would write beyond the result, so use a buffer.
            let mut sums = [0.0; TALL * COLUMNS];
            let sums = &mut sums[..whole * COLUMNS];
            if add {
                let rows = sums.chunks_exact_mut(COLUMNS).zip(out.chunks(stride));
                rows.for_each(|(sums, out)| sums[..width].copy_from_slice(&out[..width]));
            }
            system::multiply(a, lines, sums, COLUMNS, add);
            let rows = out.chunks_mut(stride).zip(sums.chunks_exact(COLUMNS));
            rows.for_each(|(out, sums)| out[..width].copy_from_slice(&sums[..width]));
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        system::release();
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod system {
    use std::{arch::asm, sync::LazyLock};

    use super::{COLUMNS, Line, Pair, SIDE, TALL};

    /// The operand of `ldtilecfg`.
    #[repr(C, align(64))]
    struct Config {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        /// Bytes per row, then rows, of each register; only eight of the sixteen exist.
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }

    static WHOLE_TILES: Config = Config {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    pub fn has_tiles() -> bool {
        static GRANTED: LazyLock<bool> = LazyLock::new(|| {
            /// Bits of CPUID.7.0:EDX: AMX-BF16 and AMX-TILE.
            const AMX: u32 = 1 << 22 | 1 << 24;
            /// linux/arch/x86/include/uapi/asm/prctl.h. Tile data is component 18 of the extended state.
            const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
            const TILE_DATA: libc::c_long = 18;
            // Newer Rust releases declare this function safe.
            #[allow(unused_unsafe)]
            // SAFETY: every x86-64 CPU has the instruction.
            let leaf = unsafe { std::arch::x86_64::__cpuid_count(7, 0) };
            // SAFETY: asks for permission; a kernel that does not know the request refuses it.
            leaf.edx & AMX == AMX && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) } == 0
        });
        *GRANTED
    }

    pub fn set_up() {
        assert!(has_tiles());
        // SAFETY: the process may use the registers, and only this module does.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE_TILES, options(nostack, readonly)) };
    }

    pub fn release() {
        // SAFETY: called after `set_up`, only by `Tiles`.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }

    /// `out (+)= a * lines`, over one or two tiles of rows and all columns of a panel. Only between `set_up` and
    /// `release`.
    pub fn multiply(a: &[Pair], lines: &[Line], out: &mut [f32], stride: usize, add: bool) {
        let pairs = lines.len();
        let tall = a.len() == TALL * pairs;
        let (rows, lower) = if tall { (TALL, SIDE) } else { (SIDE, 0) };
        assert!(a.len() == rows * pairs && pairs.is_multiple_of(SIDE) && pairs > 0);
        assert!(out.len() >= (rows - 1) * stride + COLUMNS);
        // SAFETY: the registers are configured, since a `Tiles` exists. As asserted, `a` has `rows` rows of `pairs`
        // pairs, of which each iteration takes 16; `lines` has as many lines; and `out` has `rows` rows of a panel's
        // columns. With one tile of rows, both pointers are equal, and the duplicate writes store the same values.
        unsafe {
            asm!(
                "test {add:e}, {add:e}",
                "jz 2f",
                "tileloadd tmm0, [{out} + {stride}]",
                "tileloadd tmm1, [{out} + {stride} + 64]",
                "tileloadd tmm2, [{out2} + {stride}]",
                "tileloadd tmm3, [{out2} + {stride} + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloadd tmm4, [{a} + {row}]",
                "tileloadd tmm6, [{lines} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{lines} + {line} + 64]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a2} + {row}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 64",
                "add {a2}, 64",
                "add {lines}, {step}",
                "dec {count}",
                "jnz 3b",
                "tilestored [{out} + {stride}], tmm0",
                "tilestored [{out} + {stride} + 64], tmm1",
                "tilestored [{out2} + {stride}], tmm2",
                "tilestored [{out2} + {stride} + 64], tmm3",
                a = inout(reg) a.as_ptr() => _,
                a2 = inout(reg) a.as_ptr().add(lower * pairs) => _,
                lines = inout(reg) lines.as_ptr() => _,
                count = inout(reg) pairs / SIDE => _,
                row = in(reg) size_of::<Pair>() * pairs,
                line = in(reg) size_of::<Line>(),
                step = const size_of::<Line>() * SIDE,
                out = in(reg) out.as_mut_ptr(),
                out2 = in(reg) out.as_mut_ptr().add(lower * stride),
                stride = in(reg) size_of::<f32>() * stride,
                add = in(reg) u32::from(add),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod system {
    use super::{Line, Pair};

    pub fn has_tiles() -> bool {
        false
    }

    pub fn set_up() {}

    pub fn release() {}

    pub fn multiply(_: &[Pair], _: &[Line], _: &mut [f32], _: usize, _: bool) {
        unreachable!("`Tiles` is not there");
    }
}
