//! What a program does before `main`, and before Rust has prepared itself for it.
//!
//! Rust's own start reads `/proc/self/maps`, installs handlers and an alternate stack: a third of what a whole
//! `/bin/true` costs. A question that shells ask in loops is answered before that. Where the linker or the C
//! library does not know `.init_array` as glibc does, nothing runs early, and `main` does all of it.

/// Runs this `fn()` before `main`. For programs, never for libraries: it would run in every program that links them.
///
/// It must not rely on `main`'s preparations: standard descriptors may be closed, and SIGPIPE ends the process. It
/// may end the process; else `main` runs as ever.
#[macro_export]
macro_rules! before_main {
    ($function:path) => {
        const _: () = {
            extern "C" fn run() {
                $function();
            }
            #[allow(unsafe_code)]
            #[cfg(all(target_os = "linux", target_env = "gnu"))]
            // SAFETY: the section is an array of pointers to functions of the C calling convention, each called once, by the
            // dynamic linker, when everything that the program links is there; this is one such pointer.
            #[unsafe(link_section = ".init_array")]
            #[used]
            static BEFORE_MAIN: extern "C" fn() = run;
        };
    };
}

/// Links the unwinder (libgcc_eh) into the program, where glibc is linked dynamically. For programs, never for libraries.
///
/// Else the dynamic linker loads libgcc_s at each start for the sake of a backtrace that hardly ever comes: a tenth of what a whole
/// `flag on` costs.
#[macro_export]
macro_rules! own_unwinder {
    () => {
        const _: () = {
            #[allow(unsafe_code)]
            #[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
            // SAFETY: nothing is declared here.
            #[link(name = "gcc_eh", kind = "static", modifiers = "-bundle,+whole-archive")]
            unsafe extern "C" {}
        };
    };
}
