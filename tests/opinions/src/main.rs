//! All endpoints, one after the other; the last line is `opinions: fake=n/n moto=n/m ministack=n/m`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use muster_aws_opinions::{play_fake, play_second_opinions};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cases = match play_fake().await {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let opinions = play_second_opinions().await;
    println!("opinions: fake={cases}/{cases} {opinions}");
    if opinions.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
