//! Tests that run on every driver, for programs that use this crate. What a driver cannot be had for is said, and is no failure.

use std::future::Future;
use std::process::{ExitCode, Termination};

use crate::driver::Choice;
use crate::runtime::{Builder, Error, Runtime};

/// Makes a test of an async function for each driver: `name::uring`, `name::readiness` and `name::sim`.
///
/// Where a driver cannot be had, a ring in a container for example, its test says so and passes. The simulated world has the seed
/// `ANNULUS_SEED`, by default 1, and nothing of the machine: an empty disk, a network of its own, time that jumps. The body
/// stands in a module of its own that sees what is beside it, so it does not say `super::`.
///
/// # Examples
/// ```
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::on_every_driver! {
///     async fn a_greeting_arrives() -> std::io::Result<()> {
///         let listener = TcpListener::bind("127.0.0.1:0").await?;
///         let client = TcpStream::connect(listener.local_addr()?).await?;
///         client.write_all("hello").await.0?;
///         let (result, heard) = listener.accept().await?.0.read_exact(vec![0; 5]).await;
///         result.map(|()| assert_eq!(heard, b"hello"))
///     }
/// }
/// ```
#[macro_export]
macro_rules! on_every_driver {
    ($($(#[$attribute:meta])* async fn $name:ident() $(-> $output:ty)? $body:block)*) => {$(
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$attribute])*
            async fn body() $(-> $output)? $body

            #[test]
            fn uring() -> ::std::process::ExitCode {
                $crate::testing::on("uring", body)
            }

            #[test]
            fn readiness() -> ::std::process::ExitCode {
                $crate::testing::on("readiness", body)
            }

            #[test]
            fn sim() -> ::std::process::ExitCode {
                $crate::testing::on("sim", body)
            }
        }
    )*};
}

/// The test of a body on the driver of that name.
pub fn on<F: Future<Output: Termination>>(driver: &str, body: impl FnOnce() -> F) -> ExitCode {
    let seed = std::env::var("ANNULUS_SEED").unwrap_or_else(|_| "1".to_owned());
    let choice: Choice = match driver {
        "sim" => format!("sim:{seed}").parse().expect("ANNULUS_SEED is a number"),
        name => name.parse().expect("it is a driver's name"),
    };
    println!("{choice}");
    tested(Builder::new().driver(choice).build(), body)
}

fn tested<F: Future<Output: Termination>>(
    built: Result<Runtime, Error>,
    body: impl FnOnce() -> F,
) -> ExitCode {
    match built {
        Ok(runtime) => runtime.run(body()).expect("the loop goes on to the end").report(),
        Err(refused @ Error::Refused(_)) => {
            eprintln!("skipped: {refused}");
            ExitCode::SUCCESS
        }
        Err(other) => panic!("{other}"),
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_cannot_be_had_is_no_failure_and_a_body_that_fails_is_one() {
        let refused = || Err(Error::Refused("there is no ring".into()));
        assert_eq!(tested(refused(), async || -> () { unreachable!() }), ExitCode::SUCCESS);
        let failing = async || Err::<(), _>("it failed");
        assert_eq!(tested(Builder::new().build(), failing), ExitCode::FAILURE);
    }
}
