//! Makes Cargo resolve the build dependencies of the manifest.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}
