#!/usr/bin/env bash
# Builds mainstay and runs the example shop of examples/shop.toml here, until Ctrl-C. Needs Rust and Python, installs
# nothing, and leaves nothing running. Arguments go to `mainstay run`.
set -euo pipefail
cd "$(dirname "$0")/.."
# The file names programs in target/release, so that is where they must be built.
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET
cargo build --release --bins --examples
exec target/release/mainstay --config examples/shop.toml run "$@"
