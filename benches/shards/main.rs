//! What it costs to cross from one loop to another, on two threads that have a processor each: a number there and back.
//!
//! Every row is run once a round, in turn, and what is told is the median of the rounds and that of the ratios within each: so
//! whatever else the machine does meanwhile concerns all rows alike. `processor` is the time of both threads together.
//!
//! - by channels, beside tokio's: its two tasks as they come, which its scheduler may put on one thread, where nothing crosses;
//!   one of them on the thread of `block_on`; and two of its loops for one thread, which have a processor each as ours;
//! - by a waker alone, beside the bare thing: two rings that poll an event counter, each of which the other's thread rings;
//! - the bare thing by messages between rings instead of counters: from a ring of one's own, handed over by the call that
//!   also waits or by one of their own, and without a ring, by a register call (Linux 6.13);
//! - and some of these with both threads on one processor: there no processor has to come out of its sleep, which on many machines takes
//!   most of the time, and it shows what the calls themselves cost.
//!
//! "Spins" are loops with `Builder::spin`. What that costs where messages come by themselves is in a table of its own.
//!
//! `cargo bench --bench shards`, which takes a minute, or `-- ROUNDS "part of a row's name"`.

#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod ours;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod theirs;

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says so when it wants the figures, and not only to know that it starts.
    let (rounds, trips) = match arguments.iter().any(|argument| argument == "--bench") {
        true => (arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(15), 1000),
        false => (1, 10),
    };
    let named = arguments.into_iter().find(|argument| argument.starts_with(char::is_alphabetic));
    report::report(rounds, trips, &named.unwrap_or_default());
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!(
        "not measured: the two threads are put on processors of their own, which is done for Linux alone here"
    );
}
