//! One source for every vector width: loops are compiled for AVX-512, AVX2 and the baseline, and the widest version the
//! CPU supports is chosen at run time. (On AArch64, NEON is the baseline.)
//!
//! None of this reorders floating-point sums or contracts to fused multiply-adds, so all versions of a loop give the
//! same bits, and a take sounds the same on every machine.

/// Compiles a function for each vector width and calls the widest one that the CPU supports.
macro_rules! widest {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $visibility fn $name($($arg: $type),*) {
            #[inline(always)]
            fn body($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
                fn avx512($($arg: $type),*) { body($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) { body($($arg),*) }
                if is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the CPU has the features the function was compiled for.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU has the features the function was compiled for.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}

pub(crate) use widest;
