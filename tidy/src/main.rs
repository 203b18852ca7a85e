//! Lists circles of imports and wide lines; exits with 1 where there are any.

use riskstream_tidy::{circles, wide_lines, workspace};
use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let root = workspace();
    let circles = circles(&root)?;
    for circle in &circles {
        println!("a circle of imports:\n  {}", circle.join("\n  "));
    }
    let wide = wide_lines(&root)?;
    wide.iter().for_each(|line| println!("{line}"));
    println!("{} circles, {} wide lines", circles.len(), wide.len());
    let is_tidy = circles.is_empty() && wide.is_empty();
    Ok(if is_tidy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
