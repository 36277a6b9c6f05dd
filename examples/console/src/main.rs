//! The console.
fn main(){}
