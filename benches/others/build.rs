//! Builds the reader that uses sofia-sip, where that library is installed. It is a program of its
//! own, so that calling C needs no unsafe code here.

use std::path::Path;
use std::process::Command;

const SOURCE: &str = "src/sofia.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let folder = std::env::var("OUT_DIR").expect("cargo says where to build");
    let program = Path::new(&folder).join("sofia");
    match build(&program) {
        Ok(()) => println!("cargo::rustc-env=SOFIA={}", program.display()),
        Err(cause) => {
            println!("cargo::warning=sofia-sip is left out: {cause}");
            println!("cargo::rustc-env=SOFIA=");
        }
    }
}

fn build(program: &Path) -> Result<(), String> {
    let mut ask = Command::new("pkg-config");
    ask.args(["--cflags", "--libs", "sofia-sip-ua"]);
    let flags = output(&mut ask)?;
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-g", "-Wall", "-Wextra", "-o"]);
    compile.arg(program).arg(SOURCE);
    compile.args(flags.split_whitespace());
    output(&mut compile).map(drop)
}

/// What a program prints, or why it failed.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let result = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&result.stderr).replace('\n', " ");
    Err(format!("{name}: {said}"))
}
